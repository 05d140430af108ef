//! Files, flags and variables, and what becomes of them.

use super::*;
use crate::engine::args;

fn settings(file: Value, flags: &str, environment: &[(&str, &str)]) -> Result<UserSettings, Fault> {
    let environment = |name: &str| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let file = file.as_object().cloned().unwrap_or_default();
    UserSettings::of(file, &args::parse(flags).unwrap(), &environment)
}

#[test]
fn values_that_equal_our_own_pass() {
    let file = json!({
        "containerd": "/run/dind/containerd.sock", "exec-root": "/var/run/docker", "live-restore": false,
        "hosts": ["unix:///var/run/docker.sock", "unix:///run/docker.sock", "unix://", ""], "bridge": "docker0",
        "bip": "", "dns": [], "mtu": 0, "default-address-pools": [], "storage-driver": "", "iptables": true, "no-such-key": 1,
    });
    let found = settings(file, "--exec-root /run/docker --live-restore=false -b docker0", &[]).unwrap();
    assert_eq!(Value::Object(found.config), json!({"iptables": true, "no-such-key": 1}));
    assert_eq!((found.hosts, found.variables, found.pid_file), (vec![], vec![], pid_file()));
    let found = settings(json!({"pidfile": "/run/mine.pid"}), "", &[]).unwrap();
    assert_eq!(found.pid_file, Path::new("/run/mine.pid"));
    let found = settings(json!({"hosts": "unix:///x"}), "", &[]).unwrap();
    assert_eq!(found.config["hosts"], "unix:///x", "dockerd says that it wants a list");
}

#[test]
fn values_that_the_node_cannot_have_are_refused_by_name() {
    for (file, flags) in [
        (json!({"containerd": "/run/containerd/containerd.sock"}), ""),
        (json!({"exec-root": "/x"}), ""),
        (json!({"live-restore": true}), ""),
        (json!({}), "--live-restore"),
        (json!({}), "--exec-root=/x"),
    ] {
        let fault = settings(file.clone(), flags, &[]).unwrap_err();
        assert_eq!(fault.code, fault::DAEMON_ARG_OWNED, "{file} {flags}");
        assert!(!fault.hint.is_empty());
    }
}

#[test]
fn what_decides_where_images_are_kept_is_known_to_the_tools() {
    let store = |file: Value, flags: &str| {
        let variables = settings(file, flags, &[]).unwrap().variables;
        variables.into_iter().find(|(name, _)| *name == STORE_VARIABLE).map(|(_, store)| store)
    };
    let feature = |on: bool| json!({"features": {"containerd-snapshotter": on, "cdi": true}});
    for (file, flags, expected) in [
        (feature(true), "", Some("containerd")),
        (feature(false), "", Some("graph")),
        (json!({"features": {"cdi": true}}), "", None),
        (json!({}), "--feature containerd-snapshotter=false", Some("graph")),
        (json!({}), "--feature=containerd-snapshotter", Some("containerd")),
        (feature(true), "--feature containerd-snapshotter=f", Some("graph")),
        (json!({"userns-remap": "default"}), "", Some("graph")),
        (json!({"userns-remap": ""}), "", None),
        (json!({"storage-driver": "overlayfs"}), "", Some("containerd")),
        (json!({"storage-driver": "native"}), "", Some("containerd")),
        (json!({"storage-driver": "overlay2"}), "", None),
        (json!({"storage-driver": "overlayfs", "userns-remap": "default"}), "", Some("graph")),
    ] {
        assert_eq!(store(file.clone(), flags).as_deref(), expected, "{file} {flags}");
    }
    let ours = [("DIND_STORAGE_STORE", "graph")];
    let fault = settings(feature(true), "", &ours).unwrap_err();
    assert_eq!(fault.code, fault::SETTING_CONTRADICTS);
    assert!(settings(feature(false), "", &ours).unwrap().variables.is_empty());
}

#[test]
fn an_engine_that_does_not_know_the_feature_is_left_to_ignore_it() {
    let file = json!({"features": {"containerd-snapshotter": true}});
    for (has_store, asked) in [(true, true), (false, false)] {
        let mut found = settings(file.clone(), "", &[]).unwrap();
        found.leave_out_unknown_store(|| has_store);
        assert_eq!(!found.variables.is_empty(), asked);
        assert_eq!(found.warnings.is_empty(), asked, "{:?}", found.warnings);
    }
    // What was asked for by the variable is refused, and not here.
    let mut found = settings(json!({}), "", &[("DIND_STORAGE_STORE", "containerd")]).unwrap();
    found.leave_out_unknown_store(|| panic!("nobody asks"));
    assert_eq!(found.warnings, []);
}

#[test]
fn what_decides_storage_and_network_is_known_to_the_tools() {
    let file = json!({
        "storage-driver": "vfs", "data-root": "/srv/d", "mtu": 1400, "dns": ["9.9.9.9", "8.8.8.8"], "bip": "10.9.0.1/16",
        "firewall-backend": "nftables", "bridge-accept-fwmark": "0x10/0x10",
    });
    let expected = [
        ("DIND_STORAGE_DRIVER", "vfs"),
        ("DIND_DATA_ROOT", "/srv/d"),
        ("DIND_NET_BIP", "10.9.0.1/16"),
        ("DIND_NET_FIREWALL", "nftables"),
        ("DIND_NET_MTU", "1400"),
        ("DIND_NET_DNS", "9.9.9.9,8.8.8.8"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let flags = "-s vfs -g /srv/d --mtu 1400 --dns 9.9.9.9 --dns 8.8.8.8 --bip 10.9.0.1/16 \
        --firewall-backend nftables --bridge-accept-fwmark 0x10/0x10";
    assert_eq!(settings(file.clone(), "", &[]).unwrap().variables, expected);
    assert_eq!(settings(json!({}), flags, &[]).unwrap().variables, expected);
    let bridged = settings(file, "", &[("DOCKER_NETWORK_OFFSET", "auto")]).unwrap();
    assert!(bridged.variables.iter().all(|(name, _)| *name != "DIND_NET_BIP"));
    assert!(bridged.variables.contains(&("DIND_NET_ACCEPT_FWMARK", "0x10/0x10".to_owned())));
    let of = |file| settings(file, "", &[]).unwrap().variables;
    assert_eq!(of(json!({"bridge": "none", "iptables": false})), [("DIND_NET_BRIDGE", "none".to_owned())]);
    // Left to dockerd: a driver that only it knows, a loopback server, the wrong type, the default.
    assert_eq!(
        of(json!({"storage-driver": "devicemapper", "dns": ["127.0.0.1"], "mtu": "1400", "bip": 5})),
        []
    );
    assert_eq!(of(json!({"mtu": 0, "dns": [], "data-root": null})), []);
    let found =
        settings(json!({"insecure-registry": ["r:5000"]}), "", &[("DOCKER_DRIVER", "overlay")]).unwrap();
    let messages: Vec<_> = found.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert!(
        messages[0].contains("`insecure-registries`") && messages[1].contains("`overlay`"),
        "{messages:?}"
    );
    let gitlab = settings(json!({}), "", &[("DOCKER_DRIVER", "vfs")]).unwrap();
    assert_eq!(gitlab.variables, [("DIND_STORAGE_DRIVER", "vfs".to_owned())]);
}

#[test]
fn a_contradiction_is_refused_and_agreement_is_not() {
    for (file, environment) in [
        (json!({"storage-driver": "vfs"}), ("DIND_STORAGE_DRIVER", "overlay2")),
        (json!({"data-root": "/srv/d"}), ("DIND_DATA_ROOT", "/srv/e")),
        (json!({"bridge": "none"}), ("DIND_NET_BRIDGE", "br0")),
        (json!({"mtu": 1400}), ("DIND_NET_MTU", "1500")),
        (json!({"dns": ["9.9.9.9"]}), ("DIND_NET_DNS", "8.8.8.8")),
    ] {
        let fault = settings(file.clone(), "", &[environment]).unwrap_err();
        assert_eq!(fault.code, fault::SETTING_CONTRADICTS, "{file}");
        assert!(fault.message.contains(environment.0), "{fault}");
    }
    for (file, environment) in [
        (json!({"storage-driver": "vfs"}), ("DIND_STORAGE_DRIVER", "vfs")),
        (json!({"data-root": "/srv/d/"}), ("DIND_DATA_ROOT", "/srv/d")),
        (json!({"dns": ["9.9.9.9", "8.8.8.8"]}), ("DIND_NET_DNS", "9.9.9.9 8.8.8.8")),
        (json!({}), ("DIND_STORAGE_DRIVER", "vfs")),
    ] {
        assert_eq!(settings(file.clone(), "", &[environment]).unwrap().variables, [], "{file}");
    }
    let auto = settings(json!({"storage-driver": "vfs"}), "", &[("DIND_STORAGE_DRIVER", "auto")]).unwrap();
    assert_eq!(auto.variables, [("DIND_STORAGE_DRIVER", "vfs".to_owned())]);
}

#[test]
fn what_is_set_in_two_places_is_named_and_the_flag_wins() {
    let found =
        settings(json!({"log-level": "warn", "mtu": 1300, "debug": true}), "-l debug --mtu=1400", &[])
            .unwrap();
    assert_eq!(Value::Object(found.config), json!({"mtu": 1400, "debug": true}));
    let messages: Vec<_> = found.warnings.iter().map(|warning| warning.message.as_str()).collect();
    let both =
        |key: &str, value: &str| format!("a flag of dockerd overrides `{key}`: daemon.json has {value}");
    assert_eq!(messages, [both("mtu", "1300"), both("log-level", "\"warn\"")]);
    let file = json!({"log-level": "debug", "mtu": 1400, "hosts": ["unix:///x"], "debug": true});
    let same = settings(file, "-l debug --mtu=1400 -D -H unix:///x", &[]).unwrap();
    assert_eq!((same.warnings, same.hosts), (vec![], vec!["unix:///x".to_owned()]));
}
