//! Identifiers: ULIDs, which sort by the time they were made.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;

use crate::clock::{Clock, Entropy, Millis};

/// A text that is no ULID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an id: an id is a ULID, 26 characters of Crockford's base 32")]
pub struct NotAnId(String);

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// A new id of this instant.
            #[must_use]
            pub fn new(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
                Self::at(clock.now(), entropy)
            }

            /// A new id of the instant `at`.
            #[must_use]
            pub fn at(at: Millis, entropy: &dyn Entropy) -> Self {
                let at_ms = u64::try_from(at.0).unwrap_or(0);
                Self(Ulid::from_parts(at_ms, entropy.roll()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                // 26 characters hold 130 bits: above a first `7` the parser would drop the surplus,
                // and two ids would become one.
                let fits = text.bytes().next().is_some_and(|first| first <= b'7');
                let id = Ulid::from_string(text).ok().filter(|_| fits);
                id.map(Self).ok_or_else(|| NotAnId(text.chars().take(64).collect()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

ulid_id! {
    /// Names a job. The submitter may make it, so that a repeated submission is the same job.
    JobId
}
ulid_id! {
    /// Names a flow. The submitter may make it, so that a repeated submission is the same flow.
    FlowId
}
ulid_id! {
    /// Names one delivery of a webhook event to one target; receivers see it as `webhook-id`.
    DeliveryId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_refuses_other_text() {
        let text = "01K9Z4T8N6Q0V5W3X2Y1R7S9AB";
        let id: JobId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert!("8ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<JobId>().is_err());
        assert!("hello".parse::<JobId>().unwrap_err().to_string().contains("26 characters"));
    }
}
