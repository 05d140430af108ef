//! The user's flags, as they are written.

use super::*;

#[test]
fn words_are_passed_literally() {
    let args = parse("--debug --label 'a b' --label=$(reboot) -l warn\n--userland-proxy=false").unwrap();
    assert_eq!(
        args.words,
        ["--debug", "--label", "a b", "--label=$(reboot)", "-l", "warn", "--userland-proxy=false"]
    );
    let keys: Vec<_> = args.keys.iter().map(String::as_str).collect();
    assert_eq!(keys, ["debug", "labels", "log-level", "userland-proxy"]);
}

#[test]
fn hosts_and_the_config_file_are_taken_out() {
    let args =
        parse("-H unix:///run/a.sock --host=unix:///run/b.sock -Hunix:///c --config-file /etc/d.json -D")
            .unwrap();
    assert_eq!(args.hosts, ["unix:///run/a.sock", "unix:///run/b.sock", "unix:///c"]);
    assert_eq!((args.words, args.config_file), (vec!["-D".to_owned()], Some("/etc/d.json".into())));
}

#[test]
fn what_decides_something_is_a_setting() {
    assert_eq!(parse("-Ds vfs").unwrap().settings["storage-driver"], "vfs");
    let bundle = parse("-Dl warn -DD -Ds vfs").unwrap();
    assert_eq!(bundle.words, ["-D", "-l", "warn", "-DD", "-D"]);
    assert_eq!(parse("-D=true -l warn").unwrap().words, ["-D=true", "-l", "warn"]);
    let text = "-s vfs --data-root=/srv/d -b none --bip 10.9.0.1/16 --mtu=1400 --dns 9.9.9.9 --dns=8.8.8.8 --live-restore=false";
    let args = parse(text).unwrap();
    let expected = json!({
        "bip": "10.9.0.1/16", "bridge": "none", "data-root": "/srv/d", "dns": ["9.9.9.9", "8.8.8.8"],
        "live-restore": false, "mtu": 1400, "storage-driver": "vfs",
    });
    assert_eq!((Value::Object(args.settings), args.words), (expected, Vec::new()));
    assert_eq!(parse("--mtu big").unwrap().settings["mtu"], "big", "dockerd says what is wrong with it");
    let pools =
        "--default-address-pool base=10.9.0.0/16,size=24 --default-address-pool=size=20,base=10.8.0.0/16";
    let expected = json!([{"base": "10.9.0.0/16", "size": 24}, {"base": "10.8.0.0/16", "size": 20}]);
    assert_eq!(parse(pools).unwrap().settings[POOLS], expected);
    assert_eq!(parse("--default-address-pool 10.9.0.0/16").unwrap().settings[POOLS], json!(["10.9.0.0/16"]));
}

#[test]
fn words_agree_with_a_file_that_says_the_same() {
    for (words, key, value, agree) in [
        ("-D", "debug", json!(true), true),
        ("-Dl warn", "debug", json!(true), true),
        ("--debug --tls=false", "tls", json!(false), true),
        ("--debug=false", "debug", json!(true), false),
        ("--debug false", "debug", json!(false), false),
        ("-l warn", "log-level", json!("warn"), true),
        ("--log-level=warn", "log-level", json!("info"), false),
        ("--max-concurrent-downloads 3", "max-concurrent-downloads", json!(3), true),
        ("--label a=b --label=c=d", "labels", json!(["a=b", "c=d"]), true),
        ("--label a=b", "labels", json!(["a=b", "c=d"]), false),
        ("--label c=d --label a=b", "labels", json!(["a=b", "c=d"]), false),
        ("--log-opt b=2 --log-opt a=1", "log-opts", json!({"a": "1", "b": "2"}), true),
        ("--log-opt a=1 --log-opt a=1", "log-opts", json!({"a": "1", "b": "2"}), false),
        ("", "debug", json!(true), false),
    ] {
        assert_eq!(parse(words).unwrap().agree(key, &value), agree, "{words}: {key} {value}");
    }
}

#[test]
fn what_is_no_list_of_flags_is_refused() {
    for text in ["--label 'open", "--label \"a\nb\"", "-H", "--bip"] {
        assert_eq!(parse(text).unwrap_err().code, fault::DAEMON_ARGS_INVALID, "{text}");
    }
}

#[test]
fn flags_of_the_command_come_after_those_of_the_variable() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let variable = parse("--mtu 1300 --dns 9.9.9.9 -H unix:///a --tlsverify --debug").unwrap();
    let text = "--mtu=1400 --dns=8.8.8.8 --host unix:///b --tlsverify=false --group 123 --config-file=/c";
    let both = variable.then(of_command(&words(text)).unwrap());
    assert_eq!(
        (&both.settings["mtu"], &both.settings["dns"]),
        (&json!(1400), &json!(["9.9.9.9", "8.8.8.8"]))
    );
    assert_eq!((both.hosts, both.tls), (words("unix:///a unix:///b"), Some(false)));
    assert_eq!(both.words, words("--tlsverify --debug --tlsverify=false --group 123"));
    assert_eq!(both.config_file, Some("/c".into()));
    let fault = of_command(&words("-D --bip")).unwrap_err();
    assert_eq!(fault.message, "cannot pass the flag `--bip`: its value is missing");
}
