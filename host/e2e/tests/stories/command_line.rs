//! The commands that speak to a running host, as people and scripts use them.

use std::process::{Output, Stdio};

use roughneck_testkit::ollama::{Config, FakeOllama};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::{
    client::in_300_days,
    host::{Host, LIMIT, Setup, binary},
};

const UNKNOWN: &str = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB";

pub(crate) fn roughneck(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    // What the tester's own shell is configured with is not the test's; a proxy must not matter.
    command.env_remove("ROUGHNECK_URL").env("HTTP_PROXY", "http://127.0.0.1:1");
    command.args(arguments).args(["--url", url]).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Host {
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Ended {
        Ended::of(roughneck(&self.url, arguments).spawn().unwrap()).await
    }

    /// A job that waits for its time, and a client that waits for the job.
    async fn waiter(&self) -> (String, Child, Lines<BufReader<ChildStderr>>) {
        let id = self.submit(&json!({ "kind": "echo", "run_at": in_300_days() })).await;
        let mut child = roughneck(&self.url, &["job", "wait", &id]).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap();
        assert_eq!(line.as_deref(), Some("state    scheduled"));
        (id, child, lines)
    }
}

/// What a command printed, and how it ended.
pub(crate) struct Ended {
    code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) async fn of(child: Child) -> Self {
        let Output { status, stdout, stderr } =
            timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended = Self { code: status.code(), out: text(stdout), err: text(stderr) };
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        ended
    }

    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Standard output is one line of JSON, which `jq` reads.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{}", self.out);
        serde_json::from_str(&self.out).unwrap()
    }
}

async fn host() -> (FakeOllama, Setup, Host) {
    let ollama = FakeOllama::start(Config::instant()).await.unwrap();
    let setup = Setup::new(&ollama.url());
    let host = setup.start();
    (ollama, setup, host)
}

#[tokio::test]
async fn a_job_that_is_waited_for_shows_its_states_and_prints_its_output_alone() {
    let (_ollama, _setup, host) = host().await;
    let input = r#"{"z":1.0,"a":[null,"ü"]}"#;
    let ended = host.cli(&["job", "submit", "echo", "--input", input, "--wait"]).await.exits(0);
    assert_eq!(ended.out, format!("{input}\n"), "the output keeps its bytes");
    assert!(ended.err.contains("state    done"), "{}", ended.err);

    let arguments = ["job", "submit", "echo", "--input", "7", "--wait", "--json"];
    let job = host.cli(&arguments).await.exits(0).json();
    assert_eq!((&job["state"], &job["output"]), (&json!("done"), &json!(7)));

    let nothing = host.cli(&["job", "submit", "noop", "--wait"]).await.exits(0);
    assert_eq!(nothing.out, "null\n");
}

#[tokio::test]
async fn a_model_s_words_are_shown_while_they_come() {
    let (_ollama, _setup, host) = host().await;
    let input = json!({ "text": "The mill stands by the river." }).to_string();
    let mut child =
        roughneck(&host.url, &["job", "submit", "summarize", "--input-file", "-", "--wait"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let ended = Ended::of(child).await.exits(0);
    for part in ["job      0", "state    loading", "state    done"] {
        assert!(ended.err.contains(part), "`{part}` is missing in:\n{}", ended.err);
    }
    assert!(ended.json()["summary"].is_string(), "{}", ended.out);
}

#[tokio::test]
async fn a_job_that_fails_ends_its_waiter_with_code_3() {
    let (_ollama, _setup, host) = host().await;
    let input = r#"{"code":"mill-broken","message":"The wheel stands still."}"#;
    let submit = ["job", "submit", "fail-fatal", "--input", input, "--wait"];
    let ended = host.cli(&submit).await.exits(3);
    assert!(ended.out.is_empty(), "{}", ended.out);
    assert!(ended.err.contains("mill-broken: The wheel stands still."), "{}", ended.err);

    let job = host.cli(&[&submit[..], &["--json"]].concat()).await.exits(3).json();
    assert_eq!(job["error"]["code"], "mill-broken", "{job}");
}

#[tokio::test]
async fn a_job_that_is_cancelled_ends_its_waiter_with_code_4_also_after_a_restart() {
    let (ollama, setup, host) = host().await;
    let (id, child, mut lines) = host.waiter().await;
    // The host comes back under its address, as it does after a crash.
    let address = host.url.trim_start_matches("http://").to_owned();
    host.kill_9().await;
    let away = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(away.starts_with(&format!("the host is away; job {id} is safe")), "{away}");
    let host = setup.listen(&address).start();
    let ended = host.cli(&["job", "cancel", &id]).await.exits(0);
    assert_eq!(ended.out, format!("cancelled {id}\n"));
    assert_eq!(Ended::of(child).await.exits(4).out, "");
    let mut rest = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        rest.push(line);
    }
    assert_eq!(rest, ["state    cancelled (cancelled on request)", "the job was cancelled"]);

    let again = host.cli(&["job", "cancel", &id]).await.exits(1);
    assert!(again.err.contains("nothing to cancel"), "{}", again.err);
    drop(ollama);
}

#[tokio::test]
async fn a_wait_that_takes_too_long_ends_with_code_5_and_the_job_goes_on() {
    let (_ollama, _setup, host) = host().await;
    let id = host.submit(&json!({ "kind": "echo", "run_at": in_300_days() })).await;
    let ended = host.cli(&["job", "wait", &id, "--timeout", "100ms"]).await.exits(5);
    assert!(ended.err.contains("scheduled after 100ms"), "{}", ended.err);
    assert_eq!(host.job(&id).await["state"], "scheduled");
    let job = host.cli(&["job", "wait", &id, "--timeout", "100ms", "--json"]).await.exits(5).json();
    assert_eq!(job["id"], json!(id));
}

#[tokio::test]
async fn jobs_and_plugins_are_shown_for_people_and_for_programs() {
    let (_ollama, _setup, host) = host().await;
    let id = UNKNOWN;
    let submit = ["job", "submit", "echo", "--input", "[1]", "--id", id, "--priority", "low"];
    assert_eq!(host.cli(&submit).await.exits(0).out, format!("{id}\n"));
    assert_eq!(host.cli(&[&submit[..], &["--json"]].concat()).await.exits(0).json()["id"], id);
    host.until(id, "done").await;

    let list = host.cli(&["job", "list", "--state", "done", "--kind", "echo"]).await.exits(0).out;
    let row = list.lines().nth(1).unwrap();
    assert!(list.starts_with("ID ") && row.starts_with(id), "{list}");
    assert!(row.contains("done   low       1/1"), "{list}");
    let page = host.cli(&["job", "list", "--limit", "1", "--json"]).await.exits(0).json();
    assert_eq!(page["jobs"][0]["id"], id);

    let page = host.cli(&["job", "show", id]).await.exits(0).out;
    for part in ["state     done", "attempt   1 of 1", "\nINPUT\n[\n  1\n]\n", "\nOUTPUT\n"] {
        assert!(page.contains(part), "`{part}` is missing in:\n{page}");
    }
    assert_eq!(
        host.cli(&["job", "show", id, "--json"]).await.exits(0).json()["output"],
        json!([1])
    );

    let plugins = host.cli(&["plugin", "list"]).await.exits(0).out;
    let (taken, refused) = plugins.split_once("\nREFUSED\n").unwrap();
    assert!(taken.contains("summarize") && refused.contains("wrong-version ("), "{plugins}");
    let plugins = host.cli(&["plugin", "list", "--json"]).await.exits(0).json();
    assert!(plugins["plugins"].is_array() && plugins["refused"].is_array());
}

#[tokio::test]
async fn a_list_goes_on_where_a_page_ends() {
    let (_ollama, _setup, host) = host().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(host.submit(&json!({ "kind": "fail-fatal" })).await);
    }
    ids.sort();
    for id in &ids {
        host.until(id, "failed").await;
    }
    for list in [&["job", "list"][..], &["dead", "list"]] {
        let page = host.cli(&[list, &["--limit", "1"]].concat()).await.exits(0);
        assert!(page.out.contains(&ids[1]) && !page.out.contains(&ids[0]), "{}", page.out);
        let more = format!("go on with --limit 1 --before {}", ids[1]);
        assert!(page.err.contains(&more), "{}", page.err);
        let rest =
            host.cli(&[list, &["--limit", "1", "--before", &ids[1]]].concat()).await.exits(0);
        assert!(rest.out.contains(&ids[0]) && rest.err.is_empty(), "{} {}", rest.out, rest.err);
        host.cli(&[list, &["--limit", "201"]].concat()).await.exits(2);
    }
}

#[tokio::test]
async fn events_come_one_a_line_to_the_end() {
    let (_ollama, _setup, host) = host().await;
    let id = host.submit(&json!({ "kind": "echo", "input": 1 })).await;
    let text = host.cli(&["job", "events", &id]).await.exits(0).out;
    assert!(text.starts_with("state     {"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("end       {"), "{text}");

    let text = host.cli(&["job", "events", &id, "--json"]).await.exits(0).out;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((&last["event"], &last["data"]["output"]), (&json!("end"), &json!(1)));
}

#[tokio::test]
async fn what_the_host_refuses_is_its_own_sentence() {
    let (_ollama, _setup, host) = host().await;
    let ended = host.cli(&["job", "submit", "sumarize"]).await.exits(1);
    assert!(ended.err.starts_with("error: no installed plugin serves"), "{}", ended.err);
    assert!(ended.err.contains("did you mean `summarize`?") && ended.out.is_empty());
    let problem = host.cli(&["job", "show", UNKNOWN, "--json"]).await.exits(1).json();
    assert_eq!(problem["code"], "unknown-job");

    for wrong in [
        &["job", "show", "7"][..],
        &["job", "submit", "echo", "--input", "hello"],
        &["job", "submit", "echo", "--timeout", "1s"],
        &["job", "list", "--state", "asleep"],
    ] {
        assert!(host.cli(wrong).await.exits(2).out.is_empty(), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named_with_the_command_that_starts_it() {
    for arguments in [&["job", "list"][..], &["job", "wait", UNKNOWN], &["plugin", "list"]] {
        let child = roughneck("http://127.0.0.1:1/", arguments).spawn().unwrap();
        let ended = Ended::of(child).await.exits(1);
        assert!(ended.err.contains("no host answers at http://127.0.0.1:1 "), "{}", ended.err);
        assert!(ended.err.contains("`roughneck serve`") && ended.out.is_empty(), "{}", ended.err);
    }
}

#[tokio::test]
async fn shells_learn_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = Command::new(binary());
        let output = command.args(["completions", shell]).output().await.unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("input-file"), "{shell}:\n{script}");
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let (_ollama, _setup, host) = host().await;
    for arguments in [&["job", "list"][..], &["plugin", "list", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = roughneck(&host.url, arguments).stdout(writer).spawn().unwrap();
        assert_eq!(Ended::of(child).await.exits(0).err, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn a_flow_is_submitted_waited_for_and_shown_as_a_tree() {
    let (_ollama, setup, host) = host().await;
    let file = setup.data_dir().with_extension("flow.json");
    let flow = json!({"name": "letter", "jobs": [
        {"name": "bad", "kind": "fail-fatal"},
        {"name": "good", "kind": "echo", "input": {"n": 1}},
        {"name": "letter", "kind": "echo", "needs": ["good", {"job": "bad", "on_failure": "ignore"}],
         "input": [{"$result": "good", "at": "/n"}, {"$result": "bad", "else": "none"}]},
    ]});
    std::fs::write(&file, flow.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let ended = host.cli(&["flow", "submit", file, "--wait"]).await.exits(0);
    assert_eq!(ended.out, "[1,\"none\"]\n", "the output of its last job, alone");
    assert!(
        ended.err.contains("state     done, 3 of 3 jobs over: 2 done, 1 failed"),
        "{}",
        ended.err
    );

    let list = host.cli(&["flow", "list", "--json"]).await.exits(0).json();
    let id = list["flows"][0]["id"].as_str().unwrap().to_owned();
    let page = host.cli(&["flow", "show", &id]).await.exits(0).out;
    for part in ["name      letter\n", "✓ letter", "├─ ✗ bad (ignored)", "└─ ✓ good"]
    {
        assert!(page.contains(part), "`{part}` is missing in:\n{page}");
    }
    let ended = host.cli(&["flow", "wait", &id, "--json"]).await.exits(0).json();
    assert_eq!(ended["state"], "done");
    let retried = host.cli(&["flow", "retry", &id]).await.exits(0);
    assert_eq!(retried.out, "1 job runs again\n");
    let nothing = host.cli(&["flow", "cancel", UNKNOWN, "--json"]).await.exits(1).json();
    assert_eq!(nothing["code"], "unknown-flow");
}

#[tokio::test]
async fn a_flow_that_fails_or_is_cancelled_ends_its_waiter_with_its_own_code() {
    let (_ollama, setup, host) = host().await;
    let file = setup.data_dir().with_extension("flow.json");
    let submit = async |flow: Value, more: &[&str]| {
        std::fs::write(&file, flow.to_string()).unwrap();
        let arguments = [&["flow", "submit", file.to_str().unwrap()], more].concat();
        host.cli(&arguments).await
    };
    let failing = json!({"jobs": [
        {"name": "bad", "kind": "fail-fatal"},
        {"name": "then", "kind": "echo", "needs": ["bad"]},
    ]});
    let ended = submit(failing, &["--wait"]).await.exits(3);
    assert!(ended.out.is_empty(), "{}", ended.out);
    assert!(ended.err.contains("roughneck flow retry"), "{}", ended.err);

    let later = json!({"jobs": [{"name": "later", "kind": "echo", "run_at": in_300_days()}]});
    let id = submit(later, &[]).await.exits(0).out.trim().to_owned();
    host.cli(&["flow", "wait", &id, "--timeout", "100ms"]).await.exits(5);
    let cancelled = host.cli(&["flow", "cancel", &id]).await.exits(0);
    assert!(cancelled.out.contains("1 of 1 job over: 1 cancelled"), "{}", cancelled.out);
    host.cli(&["flow", "wait", &id]).await.exits(4);

    let circle = json!({"jobs": [{"name": "a", "kind": "echo", "needs": ["a"]}]});
    let refused = submit(circle, &[]).await.exits(1);
    assert!(refused.err.contains("`a` needs itself"), "{}", refused.err);
}
