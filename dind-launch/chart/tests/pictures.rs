//! Pictures are XML that a parser of somebody else's takes, whatever their texts hold, and nothing in them is outside of them.
#![allow(clippy::unwrap_used)]

use dind_chart::{Bar, Lane, Lines, Series, Timeline};
use roxmltree::{Document, Node};

const NASTY: &str = "<script>&\"'\u{0}\u{1b}\u{fffe}ä 漢 \u{1f433}";

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name}: {node:?}"))
}

/// Parses a picture, and checks that each of its elements is one that pictures have, and lies in it.
fn check(picture: &str) -> usize {
    let document = Document::parse(picture).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name(("http://www.w3.org/2000/svg", "svg")));
    let (width, height) = (number(&root, "width"), number(&root, "height"));
    let inside = |x: f64, y: f64| (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
    let mut bars = 0;
    for node in root.descendants().filter(Node::is_element) {
        match node.tag_name().name() {
            "svg" | "style" | "title" => {}
            "text" => assert!(inside(number(&node, "x"), number(&node, "y")), "{node:?}"),
            "line" => {
                assert!(inside(number(&node, "x1"), number(&node, "y1")), "{node:?}");
                assert!(inside(number(&node, "x2"), number(&node, "y2")), "{node:?}");
            }
            "circle" => assert!(inside(number(&node, "cx"), number(&node, "cy")), "{node:?}"),
            "rect" => {
                let (x, y) = (number(&node, "x"), number(&node, "y"));
                assert!(
                    inside(x, y) && inside(x + number(&node, "width"), y + number(&node, "height")),
                    "{node:?}"
                );
                bars += usize::from(node.attribute("class").is_some_and(|class| class.starts_with("bar")));
            }
            "polyline" => {
                let points =
                    node.attribute("points").unwrap().split(' ').map(|point| point.split_once(',').unwrap());
                for (x, y) in points {
                    assert!(inside(x.parse().unwrap(), y.parse().unwrap()), "{node:?}");
                }
            }
            other => panic!("`{other}` in a picture"),
        }
        let allowed = [
            "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "viewBox", "class",
            "role", "points", "space",
        ];
        assert!(node.attributes().all(|attribute| allowed.contains(&attribute.name())), "{node:?}");
    }
    // No font, picture or program of anybody else's.
    assert!(!picture.contains("url(") && !picture.contains("@import") && !picture.contains("href"));
    bars
}

fn bar(from: f64, to: Option<f64>) -> Bar {
    Bar { from, to, goes_on: from > 8.0, colour: 7, tip: NASTY.to_owned() }
}

#[test]
fn a_time_line_is_a_picture_whatever_it_holds() {
    let lane = |bars| Lane { name: NASTY.repeat(5), depth: 1, bars, note: NASTY.to_owned() };
    let timeline = Timeline {
        title: NASTY.to_owned(),
        subtitle: NASTY.to_owned(),
        lanes: vec![
            lane(vec![]),
            lane(vec![bar(0.0, Some(0.0)), bar(5.0, Some(20_000.0))]),
            lane(vec![bar(30.0, None)]),
            lane(vec![bar(9.0, Some(1.0)), bar(1e12, Some(0.0))]),
        ],
        foot: vec![NASTY.repeat(40), String::new()],
    };
    assert_eq!(check(&timeline.draw()), 5);
    assert_eq!(check(&Timeline::default().draw()), 0);
}

#[test]
fn lines_are_a_picture_whatever_they_hold() {
    let series = |points| Series { name: NASTY.to_owned(), points };
    let lines = Lines {
        title: NASTY.to_owned(),
        x: NASTY.to_owned(),
        y: NASTY.to_owned(),
        series: vec![series(vec![(0.0, 1.0), (100.0, 12.5)]), series(vec![])],
        marks: vec![(10.0, NASTY.to_owned())],
        ..Lines::default()
    };
    assert_eq!(check(&lines.draw()), 2);
    check(&Lines::default().draw());
}
