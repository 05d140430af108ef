// mesos-master and mesos-agent: Mesos 1.11's own master and agent, out of the library in PyPI's mesos.scheduler.
//
// No registry has the two programs, but that library holds all that they do: a scheduler driver whose master is called
// "local" starts a master and an agent in its own process. So each program makes such a driver. The master asks for no
// agents. The agent is told where its real master is at the moment when the library would tell it of the one inside.
// The name under which it is called says which one it is, as do MESOS_* variables and --flags all the rest.
//
// There are no headers: the few names below are the library's exported ones, and the shapes are those of exactly this
// build, which the image's recipe pins by its checksum.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <netdb.h>
#include <arpa/inet.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using std::string;

// stout's Option: which of the two it is, then the value.
template <typename T> struct Option {
  enum State { SOME, NONE } state = NONE;
  union { T value; };
  Option() {}
  Option(const T& some) : state(SOME) { new (&value) T(some); }
  ~Option() {}
};

struct Duration { long nanoseconds; };

namespace process {
bool initialize(const Option<string>& delegate, const Option<string>&, const Option<string>&);
// Both sizes are generous: the library's own constructors fill what they need.
struct UPID { alignas(16) char space[1024]; UPID(const string&); };
bool wait(const UPID&, const Duration&);
}

namespace mesos {
struct FrameworkInfo { alignas(16) char space[4096]; FrameworkInfo(); };
namespace master { namespace detector {
struct StandaloneMasterDetector { void appoint(const process::UPID&); };
} }
}

using mesos::master::detector::StandaloneMasterDetector;

// StandaloneMasterDetector::appoint(const Option<MasterInfo>&): what the local cluster tells its agents.
static const char* APPOINT =
  "_ZN5mesos6master8detector24StandaloneMasterDetector7appointERK6OptionINS_10MasterInfoEE";

extern "C" void newDriver(void* self, void* scheduler, const void* framework, const string& master) __asm__(
  "_ZN5mesos20MesosSchedulerDriverC1EPNS_9SchedulerERKNS_13FrameworkInfoE"
  "RKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE");

static string masterAddress;

static void appointMaster(StandaloneMasterDetector* detector, const void*) {
  detector->appoint(*new process::UPID("master@" + masterAddress));
}

static int fail(const char* what) {
  perror(what);
  return EXIT_FAILURE;
}

// Makes every call of `function` one of `replacement`: mov rax, replacement; jmp rax.
static bool replace(void* function, void* replacement) {
  const long size = sysconf(_SC_PAGESIZE);
  char* code = static_cast<char*>(function);
  char* page = reinterpret_cast<char*>(reinterpret_cast<unsigned long>(code) & ~(size - 1));
  if (mprotect(page, 2 * size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return false;
  memcpy(code, "\x48\xb8", 2);
  memcpy(code + 2, &replacement, sizeof(replacement));
  memcpy(code + 10, "\xff\xe0", 2);
  return mprotect(page, 2 * size, PROT_READ | PROT_EXEC) == 0;
}

static string setting(const char* name, const string& otherwise) {
  const char* value = getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// --some_flag=value is MESOS_SOME_FLAG=value; a flag without a value is true.
static void readFlags(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--", 2) != 0) continue;
    string flag = argv[i] + 2;
    const size_t equals = flag.find('=');
    string name = "MESOS_" + flag.substr(0, equals);
    for (char& c : name) c = static_cast<char>(toupper(c));
    setenv(name.c_str(), equals == string::npos ? "true" : flag.c_str() + equals + 1, 1);
  }
}

// The address of a name; empty as long as there is none, which may change.
static string resolve(const string& name) {
  addrinfo hints = {}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return "";
  char text[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(found->ai_addr)->sin_addr, text, sizeof(text));
  freeaddrinfo(found);
  return text;
}

static bool listenAt(const string& port) {
  char hostname[256] = "";
  if (gethostname(hostname, sizeof(hostname) - 1) != 0) return false;
  setenv("LIBPROCESS_IP", setting("MESOS_IP", resolve(hostname)).c_str(), 0);
  setenv("LIBPROCESS_PORT", setting("MESOS_PORT", port).c_str(), 0);
  return true;
}

int main(int argc, char** argv) {
  const string program = argv[0];
  const bool isMaster = program.substr(program.rfind('/') + 1) == "mesos-master";
  readFlags(argc, argv);
  if (getenv("MESOS_VERSION") != nullptr) return puts("mesos " MESOS_RELEASE) < 0;
  signal(SIGPIPE, SIG_IGN);
  if (!listenAt(isMaster ? "5050" : "5051")) return fail("hostname");
  if (isMaster) {
    setenv("MESOS_NUM_SLAVES", "0", 1);
  } else {
    const string master = setting("MESOS_MASTER", "");
    const size_t colon = master.rfind(':');
    if (colon == string::npos) return fputs("mesos-agent: MESOS_MASTER is no HOST:PORT\n", stderr), EXIT_FAILURE;
    string address;
    while ((address = resolve(master.substr(0, colon))).empty()) usleep(100000);
    masterAddress = address + master.substr(colon);
    void* appoint = dlsym(RTLD_DEFAULT, APPOINT);
    if (appoint == nullptr || !replace(appoint, reinterpret_cast<void*>(appointMaster))) return fail("detector");
    setenv("MESOS_LAUNCHER_DIR", "/usr/libexec/mesos", 0);
    // The library puts its agent's folder further down; operators look for it where the program has it.
    const string meta = setting("MESOS_WORK_DIR", "/var/lib/mesos") + "/meta";
    if (symlink("agents/0/work/meta", meta.c_str()) != 0 && errno != EEXIST) return perror("mesos-agent"), EXIT_FAILURE;
  }
  setenv("MESOS_REGISTRY", "in_memory", 0);

  const string name = isMaster ? "master" : "slave(1)";
  process::initialize(name, Option<string>(), Option<string>());
  newDriver(calloc(1, 16384), nullptr, new mesos::FrameworkInfo(), "local");
  if (isMaster) for (;;) pause();
  // The agent ends after SIGUSR1, and its program with it.
  process::wait(process::UPID(name + "@" + getenv("LIBPROCESS_IP") + ":" + getenv("LIBPROCESS_PORT")), {-1000000000L});
  _exit(EXIT_SUCCESS);
}
