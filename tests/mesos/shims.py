#!/usr/bin/env python3
"""shims.py LIBMESOS FOLDER: makes, in FOLDER, the libraries that LIBMESOS names and no distribution has any more.

* libssl and libcrypto 1.0.0: never called while TLS is off. What Mesos' start-up calls answers 1, the rest aborts.
* libcurl with the symbol version of OpenSSL 1.0's days: passes each call on to the distribution's libcurl.
* the interpreter of Python 2: the library was made as its extension, and is not used as one."""
import collections
import re
import subprocess
import sys

LIBMESOS, FOLDER = sys.argv[1:]

HARMLESS = {
    "SSL_library_init", "SSL_load_error_strings", "OPENSSL_add_all_algorithms_noconf", "RAND_poll", "ERR_clear_error",
    "CRYPTO_num_locks", "CRYPTO_set_locking_callback", "CRYPTO_set_id_callback", "CRYPTO_set_dynlock_create_callback",
    "CRYPTO_set_dynlock_lock_callback", "CRYPTO_set_dynlock_destroy_callback",
}
NO_ERROR = {"ERR_get_error", "ERR_peek_error"}

ABORT = """#include <stdio.h>
#include <stdlib.h>
static void refuse(const char *name) { fprintf(stderr, "%s is a stub and was called\\n", name); abort(); }
"""

FORWARD = """#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
static void *real(const char *name) {
  static void *curl;
  /* By its whole path: the name alone is ours. */
  if (!curl) curl = dlopen("/usr/lib/x86_64-linux-gnu/libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  void *symbol = curl ? dlsym(curl, name) : NULL;
  if (!symbol) { fprintf(stderr, "no %s: %s\\n", name, dlerror()); abort(); }
  return symbol;
}
"""


def readelf(flag):
    return subprocess.run(["readelf", "-W", flag, LIBMESOS], check=True, capture_output=True, text=True).stdout


def wanted():
    """The undefined symbols, as {library: {version: [symbol]}}; those without a version under None."""
    versions, library = {}, None
    for line in readelf("--version-info").split("'.gnu.version_r'")[1].splitlines():
        if found := re.search(r"File: (\S+)", line):
            library = found[1]
        if found := re.search(r"Name: (\S+)\s+Flags: \S+\s+Version: (\d+)", line):
            versions[found[2]] = (library, found[1])
    symbols = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in readelf("--dyn-syms").splitlines():
        if found := re.search(r" UND (\S+?)@(\S+) \((\d+)\)", line):
            library, version = versions[found[3]]
            symbols[library][version].append(found[1])
        elif found := re.search(r" UND (\w+)$", line):
            symbols[None][None].append(found[1])
    return symbols


def build(library, source, versions):
    path = f"{FOLDER}/{library}"
    with open(f"{path}.c", "w") as file:
        file.write(source)
    flags = ["-shared", "-fPIC", "-O1", "-w", f"-Wl,-soname,{library}"]
    if versions:
        with open(f"{path}.map", "w") as file:
            for version, symbols in versions.items():
                file.write(f"{version} {{ global: {'; '.join(symbols)}; }};\n")
        flags.append(f"-Wl,--version-script={path}.map")
    subprocess.run(["cc", *flags, "-o", path, f"{path}.c", "-ldl"], check=True)


def openssl(name):
    if name in HARMLESS or name in NO_ERROR:
        return f"long {name}(void) {{ return {int(name in HARMLESS)}; }}\n"
    return aborting(name)


def aborting(name):
    return f'long {name}(void) {{ refuse("{name}"); return 0; }}\n'


def curl(name):
    # The variadic ones of Mesos' use have three arguments of a register's size, and more do no harm.
    return f'long {name}(long a, long b, long c) {{ return ((long (*)(long, ...)) real("{name}"))(a, b, c); }}\n'


def python(name):
    is_data = name.startswith("PyExc_") or name.endswith("Struct")
    return f"void *{name}[8];\n" if is_data else aborting(name)


symbols = wanted()
for library in ("libssl.so.1.0.0", "libcrypto.so.1.0.0"):
    source = ABORT + "".join(openssl(name) for names in symbols[library].values() for name in names)
    build(library, source, symbols[library])
source = FORWARD + "".join(curl(name) for names in symbols["libcurl.so.4"].values() for name in names)
build("libcurl.so.4", source, symbols["libcurl.so.4"])
names = [name for name in symbols[None][None] if re.match("_?Py", name)]
build("libpython-stub.so", ABORT + "".join(map(python, names)), None)
