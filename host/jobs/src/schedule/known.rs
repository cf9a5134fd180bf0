//! Every schedule there is, from manifests and over HTTP alike.

use std::{collections::BTreeMap, sync::Arc};

use super::{Kept, Schedule, ScheduleError, Spec};
use crate::ports::catalog::Plugin;

/// Where a schedule comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The manifest of a plugin, where it is changed.
    Manifest {
        /// The plugin's name.
        plugin: String,
    },
    /// A request to this host.
    Api,
}

/// A schedule that the host knows, and what is kept of it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Where it comes from.
    pub origin: Origin,
    /// What it says.
    pub spec: Spec,
    /// Read and checked. One that was made over HTTP can become unreadable, when a later host no
    /// longer knows its time zone.
    pub schedule: Result<Arc<Schedule>, ScheduleError>,
    /// None before the first look at one of a manifest.
    pub kept: Option<Kept>,
}

impl Known {
    /// A schedule that was made over HTTP, or none if `kept` belongs to a manifest.
    #[must_use]
    pub fn made(kept: Kept) -> Option<Self> {
        let spec = kept.made.as_ref()?.spec.clone();
        let schedule = Schedule::new(spec.clone()).map(Arc::new);
        Some(Self { origin: Origin::Api, spec, schedule, kept: Some(kept) })
    }

    /// A schedule of a manifest.
    #[must_use]
    pub fn of_manifest(plugin: &Plugin, schedule: &Arc<Schedule>, kept: Option<Kept>) -> Self {
        Self {
            origin: Origin::Manifest { plugin: plugin.manifest.name.clone() },
            spec: schedule.spec.clone(),
            schedule: Ok(Arc::clone(schedule)),
            kept,
        }
    }

    /// Whether it fires nothing until somebody resumes it.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.paused.is_some())
    }
}

/// The schedules of the installed plugins and those that were made over HTTP, by id. What is kept of
/// schedules that no manifest has any more is left out.
#[must_use]
pub fn all(plugins: &[Arc<Plugin>], kept: Vec<Kept>) -> Vec<Known> {
    let mut kept: BTreeMap<String, Kept> =
        kept.into_iter().map(|one| (one.id.clone(), one)).collect();
    let mut all = Vec::new();
    for plugin in plugins {
        for schedule in &plugin.manifest.schedules {
            let kept = kept.remove(&schedule.spec.id);
            all.push(Known::of_manifest(plugin, schedule, kept));
        }
    }
    all.extend(kept.into_values().filter_map(Known::made));
    all.sort_by(|a, b| a.spec.id.cmp(&b.spec.id));
    all
}

/// The schedule of this id, if a plugin has it or it was made over HTTP.
#[must_use]
pub fn one(plugins: &[Arc<Plugin>], id: &str, kept: Option<Kept>) -> Option<Known> {
    let schedules = plugins
        .iter()
        .flat_map(|plugin| plugin.manifest.schedules.iter().map(move |one| (plugin, one)));
    match schedules.into_iter().find(|(_, schedule)| schedule.spec.id == id) {
        Some((plugin, schedule)) => Some(Known::of_manifest(plugin, schedule, kept)),
        None => Known::made(kept?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Millis,
        manifest,
        schedule::{Made, Missed, tests::spec},
    };

    fn plugin() -> Arc<Plugin> {
        let manifest = manifest::parse(
            "manifest = 1\n[plugin]\nname = \"mill\"\nversion = \"1.0.0\"\nworld = \"roughneck:plugin/job-pure@1.0.0\"\n\
             [component]\nsource = \"m.wasm\"\n[[kind]]\nname = \"grind\"\nclass = \"io\"\n\
             [[cron]]\nid = \"daily\"\nkind = \"grind\"\nexpr = \"0 6 * * *\"\n",
        );
        Arc::new(Plugin { digest: "sha256:0".into(), manifest: manifest.unwrap() })
    }

    fn kept(id: &str, made: Option<Spec>) -> Kept {
        let at = Millis(7);
        Kept {
            id: id.to_owned(),
            revision: 1,
            handled_up_to: at,
            timing: None,
            paused: None,
            last_fire: None,
            fires_missed: 0,
            fires_skipped: 0,
            made: made.map(|spec| Made { spec, created_at: at, changed_at: at }),
        }
    }

    #[test]
    fn manifests_and_requests_are_listed_together_and_forgotten_marks_are_not() {
        let made = Spec { id: "nightly".into(), ..spec("@every 1h", "UTC", Missed::Once) };
        let zone = Spec { id: "odd".into(), zone: "Mars/Olympus".into(), ..made.clone() };
        let kept = vec![
            kept("odd", Some(zone)),
            kept("nightly", Some(made)),
            kept("mill/daily", None),
            kept("gone/hourly", None),
        ];
        let all = all(&[plugin()], kept);
        let ids: Vec<&str> = all.iter().map(|one| one.spec.id.as_str()).collect();
        assert_eq!(ids, ["mill/daily", "nightly", "odd"]);
        assert_eq!(all[0].origin, Origin::Manifest { plugin: "mill".into() });
        assert!(all[0].kept.is_some() && all[1].origin == Origin::Api);
        assert!(matches!(&all[2].schedule, Err(ScheduleError::Zone(_))));
    }

    #[test]
    fn a_schedule_of_a_manifest_is_known_before_anything_is_kept_of_it() {
        let all = all(&[plugin()], Vec::new());
        assert!(all[0].kept.is_none() && !all[0].is_paused());
        let one = one(&[plugin()], "mill/daily", None).unwrap();
        assert_eq!((one.origin, one.spec), (all[0].origin.clone(), all[0].spec.clone()));
    }

    #[test]
    fn a_mark_without_a_schedule_is_none() {
        assert!(one(&[plugin()], "mill/hourly", Some(kept("mill/hourly", None))).is_none());
        assert!(one(&[plugin()], "nightly", None).is_none());
    }
}
