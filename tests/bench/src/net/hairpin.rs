//! What bridged mode's table of bridges costs: TCP between an inner container and the outer network, with the table and without.

use super::{BRIDGED, HERE, Node, path};
use crate::series::{Series, Task, in_turns, timed};
use crate::table::{Row, print};
use dind_lab::Result;
use nix::sched::{CloneFlags, unshare};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// As `nft` has it.
const TABLE: [&str; 3] = ["table", "bridge", "dind"];

const OUTER: &str = "10.77.0.1";
/// In the range of [`BRIDGED`].
const INNER: &str = "10.77.1.2";

/// How many bytes a stream has, written in pieces of [`PIECE`].
const STREAM: usize = 1 << 30;
const PIECE: usize = 128 << 10;
/// How many bytes go to the other side and back, one at a time: packets are as small as they get.
const ROUND_TRIPS: usize = 20_000;
/// A connection that stands still for so long is broken.
const STUCK: Duration = Duration::from_secs(60);

/// Measures and prints.
pub(super) fn measure(node: &Node, rounds: usize) -> Result<()> {
    let inner = container(node)?;
    let stream = |with: bool, outwards: bool| {
        bridged(node, with)?;
        let (from, to, at) = match outwards {
            true => (&inner, &node.host, OUTER),
            false => (&node.host, &inner, INNER),
        };
        let (sender, receiver) = connection(node, from, to, at)?;
        let took = streamed(sender, receiver)?;
        node.net("release", &[])?;
        Ok(took)
    };
    let round_trips = |with: bool| {
        bridged(node, with)?;
        let (asking, answering) = connection(node, &inner, &node.host, OUTER)?;
        let took = asked(asking, answering)?;
        node.net("release", &[])?;
        Ok(took)
    };
    let series = in_turns(
        rounds,
        &mut [
            Task::new("1 GiB to the outer network, without", || stream(false, true)),
            Task::new("1 GiB to the outer network, with the table", || stream(true, true)),
            Task::new("1 GiB from the outer network, without", || stream(false, false)),
            Task::new("1 GiB from the outer network, with the table", || stream(true, false)),
            Task::new("20,000 round trips of a byte, without", || round_trips(false)),
            Task::new("20,000 round trips of a byte, with the table", || round_trips(true)),
        ],
    )?;
    let [to, to_with, from, from_with, around, around_with]: &[Series; 6] = series.as_slice().try_into()?;
    let rows = [
        Row::against(to, to),
        Row::against(to_with, to),
        Row::against(from, from),
        Row::against(from_with, from),
        Row::against(around, around),
        Row::against(around_with, around),
    ];
    print("bridged mode, rules for an outer bridge in hairpin mode", "the row above", &rows);
    Ok(())
}

/// The namespace of an inner container whose link is no port of any bridge yet.
fn container(node: &Node) -> Result<File> {
    let inner = node.at(&node.host, || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(File::open(HERE)?)
    })?;
    let link =
        format!("ip link add inner type veth peer name eth0 netns {} && ip link set inner up", path(&inner));
    node.run(Command::new("sh").args(["-c", &link]))?;
    let address = format!("ip addr add {INNER}/16 dev eth0 && ip link set eth0 up");
    node.at(&inner, || timed(Command::new("sh").args(["-c", &address])))?;
    Ok(inner)
}

/// Bridged mode, with the table or without, and the container's link in its bridge.
fn bridged(node: &Node, with: bool) -> Result<()> {
    node.net("apply", &BRIDGED)?;
    // What is not there can be neither measured nor taken away.
    let table = if with { "list" } else { "delete" };
    node.run(Command::new("nft").arg(table).args(TABLE))?;
    node.run(Command::new("ip").args(["link", "set", "inner", "master", "docker0"]))?;
    Ok(())
}

/// A connection from one namespace to an address in another: both its ends.
fn connection(node: &Node, from: &File, to: &File, address: &str) -> Result<(TcpStream, TcpStream)> {
    let listener = node.at(to, || Ok(TcpListener::bind((address, 0))?))?;
    let port = listener.local_addr()?.port();
    let caller = node.at(from, || Ok(TcpStream::connect((address, port))?))?;
    let (called, _) = listener.accept()?;
    for end in [&caller, &called] {
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(STUCK))?;
        end.set_write_timeout(Some(STUCK))?;
    }
    Ok((caller, called))
}

/// Time until the last byte of a stream has arrived.
fn streamed(mut sender: TcpStream, mut receiver: TcpStream) -> Result<Duration> {
    let start = Instant::now();
    let arrived = thread::scope(|scope| {
        let arrived = scope.spawn(move || {
            let (mut piece, mut arrived) = (vec![0; PIECE], 0);
            while arrived < STREAM {
                match receiver.read(&mut piece)? {
                    0 => break,
                    bytes => arrived += bytes,
                }
            }
            std::io::Result::Ok(arrived)
        });
        let piece = vec![0; PIECE];
        (0..STREAM / PIECE).try_for_each(|_| sender.write_all(&piece))?;
        arrived.join().unwrap_or_else(|_| Err(std::io::Error::other("the receiver has panicked")))
    })?;
    let took = start.elapsed();
    if arrived == STREAM { Ok(took) } else { Err(format!("{arrived} of {STREAM} bytes arrived").into()) }
}

/// Time of round trips.
fn asked(mut asking: TcpStream, mut answering: TcpStream) -> Result<Duration> {
    let start = Instant::now();
    thread::scope(|scope| {
        let answers = scope.spawn(move || {
            let mut byte = [0];
            (0..ROUND_TRIPS).try_for_each(|_| {
                answering.read_exact(&mut byte)?;
                answering.write_all(&byte)
            })
        });
        let mut byte = [0];
        (0..ROUND_TRIPS).try_for_each(|_| {
            asking.write_all(&byte)?;
            asking.read_exact(&mut byte)
        })?;
        answers.join().unwrap_or_else(|_| Err(std::io::Error::other("the other end has panicked")))
    })?;
    Ok(start.elapsed())
}
