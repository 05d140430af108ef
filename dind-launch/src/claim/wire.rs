//! Both ends of the socket: packets of a sequenced-packet socket (unix(7)), so that none is read in part.

use crate::paths::RUN_DIR;
use crate::process::listen_at;
use dind_contract::Fault;
use dind_contract::fault::ErrorObject;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    accept4, bind, connect as connect_to, getsockopt, listen, recv, recvmsg, send, sendmsg, socket,
};
use nix::sys::stat::Mode;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a packet of the launcher begins with: the status of the command, or the error of a refused claim as JSON.
const ENDED: u8 = b'S';
const REFUSED: u8 = b'E';

/// The descriptors of a claim: words and environment, working directory, standard streams.
const DESCRIPTORS: usize = 5;

/// How long a claimer may take to say what it wants once it has connected, in milliseconds. It does both at once.
const REQUEST_LIMIT: u16 = 1000;

/// More than any error of ours has.
const PACKET: usize = 16 << 10;

fn path() -> PathBuf {
    Path::new(RUN_DIR).join("claim.sock")
}

fn unconnected(flags: SockFlag) -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::SeqPacket, flags | SockFlag::SOCK_CLOEXEC, None)
}

/// Connects to the launcher.
pub(super) fn connect() -> io::Result<OwnedFd> {
    let socket = unconnected(SockFlag::empty())?;
    connect_to(socket.as_raw_fd(), &UnixAddr::new(&path())?)?;
    Ok(socket)
}

/// Sends the request: `command` in our environment and working directory, with our standard streams.
pub(super) fn ask(socket: &OwnedFd, command: &[String]) -> io::Result<()> {
    let mut words = File::from(memfd_create(c"claim", MFdFlags::MFD_CLOEXEC)?);
    let mut text = format!("{}\0", command.len()).into_bytes();
    let mut add = |part: &[&OsStr]| {
        part.iter().for_each(|piece| text.extend_from_slice(piece.as_bytes()));
        text.push(0);
    };
    command.iter().for_each(|word| add(&[word.as_ref()]));
    std::env::vars_os().for_each(|(name, value)| add(&[&name, OsStr::new("="), &value]));
    words.write_all(&text)?;
    let directory = open(c".", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let descriptors: [RawFd; DESCRIPTORS] = [words.as_raw_fd(), directory.as_raw_fd(), 0, 1, 2];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let bytes = [IoSlice::new(b"claim")];
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &bytes, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Sends a signal's number, for the command.
pub(super) fn send_signal(socket: &OwnedFd, number: i32) -> io::Result<()> {
    send(socket.as_raw_fd(), &number.to_le_bytes(), MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

/// What the launcher says.
pub(super) enum Answer {
    /// The command has ended with this status.
    Ended(u8),
    /// It was not started.
    Refused(ErrorObject),
    /// The launcher has closed the socket.
    Gone,
}

/// Reads one packet of the launcher.
pub(super) fn answer(socket: &OwnedFd) -> io::Result<Answer> {
    let mut packet = vec![0; PACKET];
    let length = match recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty()) {
        Err(Errno::ECONNRESET) => 0,
        other => other?,
    };
    match &packet[..length] {
        [] => Ok(Answer::Gone),
        [ENDED, status] => Ok(Answer::Ended(*status)),
        [REFUSED, error @ ..] => Ok(Answer::Refused(serde_json::from_slice(error)?)),
        _ => Err(io::Error::other("the launcher's answer is of another version")),
    }
}

/// The launcher's socket, until the node is claimed.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// [`crate::fault::INIT_FAILED`].
    pub fn bind() -> Result<Self, Fault> {
        let listening = |path: &Path| {
            let socket = unconnected(SockFlag::SOCK_NONBLOCK)?;
            bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
            listen(&socket, Backlog::new(8)?)?;
            Ok(socket)
        };
        listen_at(&path(), listening).map(Self)
    }

    /// The request of somebody who is root. Nothing where there is none, or none that can be read.
    #[must_use]
    pub fn accept(&self) -> Option<Claim> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = accept4(&self.0, flags).ok()?;
        getsockopt(&socket, PeerCredentials).ok().filter(|peer| peer.uid() == 0)?;
        Claim::read(socket).ok()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(path());
    }
}

/// Names and values of an environment.
type Variables = Vec<(OsString, OsString)>;

/// A request: a command with all that it is to have.
#[derive(Debug)]
pub struct Claim {
    /// The command's words.
    pub words: Vec<String>,
    /// Its environment.
    pub variables: Variables,
    directory: OwnedFd,
    streams: [OwnedFd; 3],
    /// Who asks.
    pub claimant: Claimant,
}

impl Claim {
    fn read(socket: OwnedFd) -> io::Result<Self> {
        poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::from(REQUEST_LIMIT))?;
        let descriptors = received(&socket)?;
        let [words, directory, stdin, stdout, stderr] = <[OwnedFd; DESCRIPTORS]>::try_from(descriptors)
            .map_err(|_| io::Error::other("too few descriptors"))?;
        let (words, variables) = parse(File::from(words)).ok_or_else(|| io::Error::other("no command"))?;
        let (streams, claimant) = ([stdin, stdout, stderr], Claimant(socket));
        Ok(Self { words, variables, directory, streams, claimant })
    }

    /// The command as the claimer would run it, for as long as this request is there.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(self.words.first().map_or("", String::as_str));
        command.args(self.words.iter().skip(1)).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(format!("/proc/self/fd/{}", self.directory.as_raw_fd()));
        let [stdin, stdout, stderr] = &self.streams;
        command.stdin(stdin.try_clone()?).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        Ok(command)
    }

    /// The value of a variable in its environment.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let (_, value) = self.variables.iter().find(|(known, _)| known == name)?;
        value.to_str().map(str::to_owned)
    }

    /// The claimer, who waits for the command's end. What the command has got is its own by now.
    #[must_use]
    pub fn into_claimant(self) -> Claimant {
        self.claimant
    }
}

/// Whoever has claimed the node, and waits for the command's end.
#[derive(Debug)]
pub struct Claimant(OwnedFd);

impl Claimant {
    /// The next signal for the command. Nothing: whoever it was has gone.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        let mut packet = [0; 4];
        let length = recv(self.0.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT).unwrap_or(0);
        (length == packet.len()).then(|| i32::from_le_bytes(packet))
    }

    /// Reports the command's end. Who does not read it is not waited for.
    pub fn report(&self, status: u8) {
        self.send(&[ENDED, status]);
    }

    /// Reports that the command was not started.
    pub fn refuse(&self, fault: &Fault) {
        let text = serde_json::to_vec(&fault.object()).unwrap_or_default();
        self.send(&[&[REFUSED], text.as_slice()].concat());
    }

    fn send(&self, packet: &[u8]) {
        let _ = send(self.0.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
    }
}

impl AsFd for Claimant {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The descriptors of one packet.
fn received(socket: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    let (mut bytes, mut space) = ([0; 16], cmsg_space!([RawFd; DESCRIPTORS]));
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<UnixAddr>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT,
    )?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just made these descriptors, and nobody else has them.
            #[allow(unsafe_code)]
            descriptors.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(descriptors)
}

/// Words and environment.
fn parse(mut file: File) -> Option<(Vec<String>, Variables)> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.read_to_end(&mut text).ok()?;
    let mut pieces = text.strip_suffix(&[0])?.split(|byte| *byte == 0);
    let count: usize = std::str::from_utf8(pieces.next()?).ok()?.parse().ok()?;
    let words: Vec<_> = pieces
        .by_ref()
        .take(count)
        .map(|word| String::from_utf8(word.to_vec()).ok())
        .collect::<Option<_>>()?;
    let variables = pieces.filter_map(|piece| {
        let at = piece.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Some((owned(&piece[..at]), owned(&piece[at + 1..])))
    });
    (!words.is_empty()).then(|| (words, variables.collect()))
}
