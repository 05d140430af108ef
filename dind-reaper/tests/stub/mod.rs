//! A stub engine with fixed answers: `{"GET /path": {"status": 200, "body": …}}`. Of a list of answers each is given once, in
//! order, and the last one from then on. Status 0 means no answer at all; a path without an answer gets 404.

use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Listens at the socket until the process ends.
pub(crate) fn listen(socket: &Path, answers: Value) {
    let listener = UnixListener::bind(socket).unwrap();
    let given = Arc::new(Mutex::new(HashMap::new()));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (answers, given) = (answers.clone(), Arc::clone(&given));
            std::thread::spawn(move || answer(stream.unwrap(), &answers, &given));
        }
    });
}

fn answer(mut stream: UnixStream, answers: &Value, given: &Mutex<HashMap<String, usize>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    // dind-reaper's requests have no body: they end with the empty line.
    let _ = lines.find(String::is_empty);
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let key = format!("{method} {}", target.split('?').next().unwrap());
    let answer = match &answers[&key] {
        Value::Array(list) => {
            let mut given = given.lock().unwrap();
            let count = given.entry(key).or_insert(0);
            *count += 1;
            &list[(*count - 1).min(list.len() - 1)]
        }
        other => other,
    };
    let status = answer["status"].as_u64().unwrap_or(404);
    if status == 0 {
        // Returns when the client gives up.
        let _ = lines.next();
        return;
    }
    let body = answer["text"].as_str().map_or_else(|| answer["body"].to_string(), str::to_owned);
    let head = format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nConnection: close");
    let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}
