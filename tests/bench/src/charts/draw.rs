//! The pictures, from figures alone.

use super::figures::{About, Figures, Run, Seed, Start, Stop};
use dind_chart::{Bar, Lane, Lines, Series, Timeline};

/// Colours: of whole runs, and of the steps in them.
const WHOLE: usize = 0;
const PART: usize = 1;

/// The time that `docker stop` gives by itself, in seconds.
const GRACE: f64 = 10.0;

pub(super) fn start(Figures { about, figures }: &Figures<Start>) -> String {
    let timeline = Timeline {
        title: "From the start of the container until the engine answers".to_owned(),
        subtitle: about.subtitle(),
        lanes: figures.runs.iter().flat_map(run).collect(),
        foot: vec![
            "Each in the same image, with --privileged and a data root on a volume, from the start of PID 1 to the first 200 of /_ping. \
             The run in the middle of its rounds is shown; the subjects took turns. A node's steps are the stages of its own record; \
             those of dockerd are cut at lines of its log."
                .to_owned(),
            "docker:dind's steps: a script of the benchmark's own that does what the entrypoint of docker:dind does by default, \
             with openssl and RSA keys of 4096 bits, iptables -nL, and the mounts of hack/dind; not its image and not its script."
                .to_owned(),
            about.foot("start"),
        ],
    };
    timeline.draw()
}

fn run(run: &Run) -> Vec<Lane> {
    let ms = |from: f64, to: f64| format!("{:>9.0} ms", to - from);
    let bar =
        |from, to, colour, tip: &str| Bar { from, to: Some(to), goes_on: false, colour, tip: tip.to_owned() };
    let whole = Lane {
        name: run.name.clone(),
        depth: 0,
        bars: vec![bar(0.0, run.took_ms, WHOLE, &run.name)],
        note: ms(0.0, run.took_ms),
    };
    let parts = run.steps.iter().map(|step| Lane {
        name: step.name.clone(),
        depth: 1,
        bars: vec![bar(step.from_ms, step.to_ms, PART, &step.name)],
        note: ms(step.from_ms, step.to_ms),
    });
    std::iter::once(whole).chain(parts).collect()
}

pub(super) fn stop(Figures { about, figures }: &Figures<Stop>) -> String {
    let series = |name: &str, all: &[f64]| {
        let points = figures.counts.iter().zip(all).map(|(count, ms)| (*count as f64, ms / 1000.0));
        Series { name: name.to_owned(), points: points.collect() }
    };
    let lines = Lines {
        title: "docker stop, by the number of inner containers".to_owned(),
        subtitle: about.subtitle(),
        x: "inner containers".to_owned(),
        y: "seconds".to_owned(),
        series: vec![series("dind", &figures.node_ms), series("bare dockerd", &figures.bare_ms)],
        marks: vec![(GRACE, "here docker stop kills what still runs".to_owned())],
        foot: vec![
            "docker stop -t 10 of a container whose inner containers end on TERM. Medians; both took turns, in the same image, with \
             --privileged and a data root on a volume."
                .to_owned(),
            about.foot("stop"),
        ],
    };
    lines.draw()
}

pub(super) fn seed(Figures { about, figures }: &Figures<Seed>) -> String {
    let bar =
        |from, to, colour, tip: &str| Bar { from, to: Some(to), goes_on: false, colour, tip: tip.to_owned() };
    let lane = |name: &str, ready: f64, load: f64| {
        let mut bars = vec![bar(0.0, ready, WHOLE, "until the engine answers")];
        if load > 0.0 {
            bars.push(bar(ready, ready + load, PART, "docker load"));
        }
        Lane { name: name.to_owned(), depth: 0, bars, note: format!("{:.2} s", (ready + load) / 1000.0) }
    };
    let timeline = Timeline {
        title: format!("Until a new node has {} images of 2 GB", figures.images),
        subtitle: about.subtitle(),
        lanes: vec![
            lane("no images", figures.empty_ms, 0.0),
            lane("from a seed, first start", figures.seeded_ms, 0.0),
            lane("from a seed, next start", figures.again_ms, 0.0),
            lane("by docker load", figures.empty_ms, figures.load_ms),
        ],
        foot: vec![
            "From the start of PID 1 until the engine answers and lists the images, with --privileged and a data root on a volume; the \
             second colour is docker load of one archive of all. Medians; the starts took turns. The content of the images cannot be \
             compressed, and some layers are shared."
                .to_owned(),
            about.foot("seed"),
        ],
    };
    timeline.draw()
}

impl About {
    fn subtitle(&self) -> String {
        format!("dind {}, engine {}, {}", self.dind, self.engine, self.date)
    }

    fn foot(&self, chart: &str) -> String {
        format!(
            "Measured {} on {} x {}, {} GiB, Linux {}, cgroup v{}, load average {:.1} at the beginning. Rounds: {}, after one that warms up. \
             Figures: tests/bench/charts/{chart}.json. Again: cargo xtask bench --chart={chart} --rounds {}.",
            self.date,
            self.processors,
            self.processor,
            self.memory_gib,
            self.kernel,
            self.cgroup,
            self.load,
            self.rounds,
            self.rounds
        )
    }
}
