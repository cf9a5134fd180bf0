//! A schedule as the host tells it.

use roughneck_jobs::priority::Priority;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::job::{At, present};

/// One schedule, whole or as lists show it.
#[derive(Debug, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) id: String,
    pub(crate) plugin: Option<String>,
    pub(crate) kind: String,
    pub(crate) expr: String,
    pub(crate) timezone: String,
    pub(crate) priority: Option<Priority>,
    /// On whose token budget its jobs go; none of an older host.
    pub(crate) caller: Option<String>,
    pub(crate) missed: String,
    pub(crate) missed_max: u32,
    pub(crate) overlap: String,
    pub(crate) paused: Option<Pause>,
    pub(crate) problem: Option<Trouble>,
    pub(crate) next: Vec<Next>,
    pub(crate) last_fire: Option<LastFire>,
    pub(crate) fires_missed: u64,
    pub(crate) fires_skipped: u64,
    pub(crate) created_at: Option<At>,
    pub(crate) changed_at: Option<At>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) input: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pause {
    pub(crate) since: At,
    pub(crate) reason: String,
}

/// Why it fires nothing although it is not paused.
#[derive(Debug, Deserialize)]
pub(crate) struct Trouble {
    pub(crate) code: String,
    pub(crate) message: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Next {
    pub(crate) at: At,
    pub(crate) local: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LastFire {
    pub(crate) at: At,
    pub(crate) job: Option<String>,
}

impl Schedule {
    /// One word for whether it fires.
    pub(crate) fn state(&self) -> &str {
        match (&self.paused, &self.problem) {
            (Some(_), _) => "paused",
            (None, Some(problem)) => &problem.code,
            (None, None) => "active",
        }
    }

    /// Why it fires nothing, if it does not.
    pub(crate) fn reason(&self) -> &str {
        match (&self.paused, &self.problem) {
            (Some(pause), _) => &pause.reason,
            (None, Some(problem)) => &problem.message,
            (None, None) => "",
        }
    }
}

/// The path of a schedule. The slash in its id belongs to the id.
pub(crate) fn path(id: &str) -> String {
    super::path_of("schedules", id)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A schedule as a host tells it, with some members replaced.
    pub(crate) fn told(changes: &serde_json::Value) -> Schedule {
        let mut schedule = serde_json::json!({
            "id": "mill/daily", "origin": "manifest", "plugin": "mill", "kind": "grind",
            "expr": "0 6 * * *", "timezone": "Europe/Berlin", "priority": null, "missed": "once",
            "missed_max": 100, "overlap": "skip", "paused": null, "problem": null,
            "next": [{"at": "2026-01-01T05:00:00.000Z", "local": "2026-01-01T06:00:00+01:00"}],
            "last_fire": null, "fires_missed": 0, "fires_skipped": 0, "created_at": null,
            "changed_at": null, "links": {},
        });
        let members = changes.as_object().unwrap().clone();
        schedule.as_object_mut().unwrap().extend(members);
        serde_json::from_str(&schedule.to_string()).unwrap()
    }

    #[test]
    fn an_id_is_one_segment_of_its_path() {
        for (id, expected) in [
            ("nightly", "/schedules/nightly"),
            ("mill/daily", "/schedules/mill%2Fdaily"),
            ("a?b#c%2F d", "/schedules/a%3Fb%23c%252F%20d"),
        ] {
            assert_eq!(path(id), expected);
        }
    }

    #[test]
    fn a_pause_is_told_before_a_problem() {
        let problem = serde_json::json!({"code": "kind-missing", "message": "it is gone"});
        let broken = told(&serde_json::json!({ "problem": problem }));
        assert_eq!((broken.state(), broken.reason()), ("kind-missing", "it is gone"));
        let pause = serde_json::json!({"since": "2026-01-01T00:00:00.000Z", "reason": "later"});
        let paused = told(&serde_json::json!({ "problem": problem, "paused": pause }));
        assert_eq!((paused.state(), paused.reason()), ("paused", "later"));
        assert_eq!(told(&serde_json::json!({})).state(), "active");
    }
}
