//! Notifications to the operator's targets, sent if the attempt succeeds.

use crate::{Refusal, Session, clip};
use roughneck_jobs::{
    delivery::Notice,
    grant::{TARGET_BYTES_MAX, is_target, matches},
    json,
};

/// Longest event name.
const EVENT_BYTES_MAX: usize = 128;

/// Largest body: receivers read it into memory.
const JSON_BYTES_MAX: usize = 256 << 10;

/// Notifications of one attempt: they are written in the transaction that ends it.
const NOTICES_MAX: u32 = 100;

impl Session {
    /// Keeps a notification for the end of the attempt.
    ///
    /// # Errors
    /// [`Refusal`] when the target is not granted or the event makes no sense.
    pub fn notify(&mut self, target: &str, event: &str, data: String) -> Result<(), Refusal> {
        self.admit_for_the_end()?;
        self.target_is_allowed(target)?;
        let is_event = (1..=EVENT_BYTES_MAX).contains(&event.len())
            && event.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !is_event {
            return Err(Refusal::fatal(
                "invalid-event",
                format!(
                    "an event is named with 1 to {EVENT_BYTES_MAX} letters, digits, `.`, `-` or `_`, such as `site.changed`"
                ),
            ));
        }
        if data.len() > JSON_BYTES_MAX {
            return Err(Refusal::fatal(
                "notification-too-large",
                format!(
                    "a notification may have at most {JSON_BYTES_MAX} bytes of JSON; send a reference instead"
                ),
            ));
        }
        if self.notices >= NOTICES_MAX {
            return Err(Refusal::fatal(
                "too-many-notifications",
                format!(
                    "an attempt may send at most {NOTICES_MAX} notifications; put several facts into one"
                ),
            ));
        }
        if let Err(error) = json::check(&data) {
            return Err(Refusal::fatal(
                "invalid-json",
                format!("the notification is not JSON that can be sent: {error}"),
            ));
        }
        self.notices += 1;
        let (target, event) = (target.to_owned(), event.to_owned());
        self.supervisor.notify(Notice { target, event, data });
        Ok(())
    }

    fn target_is_allowed(&self, target: &str) -> Result<(), Refusal> {
        // No pattern may let through what the outbox could not address.
        if !is_target(target) {
            return Err(Refusal::fatal(
                "invalid-target",
                format!(
                    "a target is named with 1 to {TARGET_BYTES_MAX} lower-case letters, digits or `-`, as in roughneck.toml"
                ),
            ));
        }
        let shown = clip(target, TARGET_BYTES_MAX);
        let wanted = self.wanted.callback.iter().flat_map(|wish| &wish.targets);
        if !wanted.into_iter().any(|pattern| matches(pattern, target)) {
            return Err(Refusal::fatal(
                "target-not-granted",
                format!(
                    "the manifest does not name the target `{shown}`; add it to `callback.targets` under [capabilities] in plugin.toml"
                ),
            ));
        }
        if !self.grant.callbacks.iter().any(|pattern| matches(pattern, target)) {
            return Err(Refusal::fatal(
                "target-not-granted",
                format!(
                    "the operator has not granted the target `{shown}`; add it to `callbacks` under [grants.{}] in roughneck.toml",
                    self.plugin
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{World, told};

    fn world() -> World {
        World::new()
            .wants(|wanted| {
                wanted.callback = Some(roughneck_jobs::manifest::CallbackWish {
                    targets: vec!["cms".into(), "alerts".into()],
                });
            })
            .grant(|grant| grant.callbacks = vec!["cms".into()])
    }

    #[test]
    fn a_granted_notification_waits_with_the_supervisor() {
        let world = world();
        world.session().notify("cms", "site.changed", r#"{"a":1}"#.into()).unwrap();
        let notice = Notice {
            target: "cms".into(),
            event: "site.changed".into(),
            data: r#"{"a":1}"#.into(),
        };
        assert_eq!(world.supervisor.seen().notices, [notice]);
    }

    #[test]
    fn each_refusal_says_what_to_change() {
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        let large = format!("\"{}\"", "x".repeat(JSON_BYTES_MAX));
        let table = [
            ("pager", "e", "1", "target-not-granted", "in plugin.toml"),
            ("alerts", "e", "1", "target-not-granted", "[grants.probe] in roughneck.toml"),
            ("cms", "", "1", "invalid-event", "such as `site.changed`"),
            ("cms", "a b", "1", "invalid-event", "such as `site.changed`"),
            ("cms", "e", "{", "invalid-json", "is not JSON"),
            ("cms", "e", &deep, "invalid-json", "deeper than 100 levels"),
            ("cms", "e", &large, "notification-too-large", "send a reference"),
        ];
        for (target, event, json, code, sentence) in table {
            let world = world();
            let error = told(world.session().notify(target, event, json.to_owned()));
            assert_eq!(error.code, code);
            assert!(error.message.contains(sentence), "{error}");
            assert!(world.supervisor.seen().notices.is_empty());
        }
    }

    #[test]
    fn a_target_that_is_no_name_is_refused_whatever_the_patterns_let_through() {
        let everything = || vec!["*".to_owned()];
        let world = World::new()
            .wants(|wanted| {
                let targets = everything();
                wanted.callback = Some(roughneck_jobs::manifest::CallbackWish { targets });
            })
            .grant(|grant| grant.callbacks = everything());
        for target in ["", "https://evil.example/", "CMS", "a b", &"x".repeat(64)] {
            let error = told(world.session().notify(target, "e", "1".into()));
            assert_eq!(error.code, "invalid-target", "{target}");
            assert!(error.message.contains("1 to 63 lower-case letters"), "{error}");
        }
        assert!(world.supervisor.seen().notices.is_empty());
    }

    #[test]
    fn the_number_of_notifications_is_bounded() {
        let world = world();
        let mut session = world.session();
        for _ in 0..NOTICES_MAX {
            session.notify("cms", "e", "1".into()).unwrap();
        }
        assert_eq!(told(session.notify("cms", "e", "1".into())).code, "too-many-notifications");
    }
}
