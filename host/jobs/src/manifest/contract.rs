//! The contract a plugin is built against, and which versions of it this host serves. The manifest
//! names it, the component imports it; both are judged here.

/// The WIT package: name and version.
pub const CONTRACT: (&str, &str) = ("roughneck:plugin", "1.0.0");

/// Its worlds: the sets of capabilities that a plugin can be built against.
pub const WORLDS: [&str; 6] = ["job-pure", "job-llm", "job-io", "job-full", "job-flow", "job-all"];

/// A version of the contract that this host does not serve.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotServed {
    /// Of this major version, but newer.
    #[error(
        "the plugin needs a host that speaks {package}@{major}.{minor}; this one speaks {ours}: upgrade roughneck",
        package = CONTRACT.0,
        ours = CONTRACT.1
    )]
    Newer {
        /// The major version.
        major: u64,
        /// The minor version.
        minor: u64,
    },
    /// Of another major version, or not released.
    #[error(
        "the plugin is built for {package}@{0}; this host speaks {ours}: rebuild the plugin, or upgrade roughneck if the plugin is newer",
        package = CONTRACT.0,
        ours = CONTRACT.1
    )]
    Other(String),
}

/// Within a major version the host serves what is not newer than itself. Patches change no function.
///
/// # Errors
/// [`NotServed`] says who has to move.
pub fn check_version(version: &str) -> Result<(), NotServed> {
    match (parts(version), parts(CONTRACT.1)) {
        (Some((major, minor)), Some((our_major, our_minor))) if major == our_major => {
            if minor <= our_minor { Ok(()) } else { Err(NotServed::Newer { major, minor }) }
        }
        _ => Err(NotServed::Other(version.to_owned())),
    }
}

/// Major and minor of a released version.
fn parts(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(|part| part.parse::<u64>().ok());
    match (parts.next()??, parts.next()??, parts.next()??, parts.next()) {
        (major, minor, _patch, None) => Some((major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_newer_than_this_host_is_served_whatever_its_patch() {
        for version in ["1.0.0", "1.0.7"] {
            assert_eq!(check_version(version), Ok(()), "{version}");
        }
        assert_eq!(check_version("1.3.0"), Err(NotServed::Newer { major: 1, minor: 3 }));
        for version in ["2.0.0", "0.9.0", "1.0.0-rc.1", "1.0", "1.0.0.0", "", "one"] {
            assert_eq!(check_version(version), Err(NotServed::Other(version.into())), "{version}");
        }
    }
}
