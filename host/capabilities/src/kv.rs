//! Key-value state of the plugin's own.

use roughneck_jobs::ports::kv::{KEY_BYTES_MAX, Key, Written};

use crate::{HostError, Refusal, Session, store_error::store_error};

/// Longest namespace.
const NAMESPACE_BYTES_MAX: usize = 64;

/// Largest value: one row of the store, written inside its single writer.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// An opened namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

impl Session {
    /// Opens a namespace; it need not exist.
    ///
    /// # Errors
    /// [`Refusal`] without a grant, or for a name that is none.
    pub fn kv_open(&mut self, name: &str) -> Result<Namespace, Refusal> {
        self.admit_for_the_end()?;
        self.kv_bytes_max()?;
        let is_name = (1..=NAMESPACE_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if is_name {
            Ok(Namespace(name.to_owned()))
        } else {
            Err(Refusal::fatal(
                "invalid-name",
                format!(
                    "a store is named with 1 to {NAMESPACE_BYTES_MAX} letters, digits, `.`, `-` or `_`"
                ),
            ))
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn kv_get(
        &mut self,
        namespace: &Namespace,
        key: &str,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        self.admit().await?;
        self.kv_bytes_max()?;
        let key = self.kv_key(namespace, key)?;
        Ok(self.ports.kv.get(&key).await.map_err(|error| store_error(&error))?)
    }

    /// Sets a value.
    ///
    /// # Errors
    /// [`Refusal`], with the code `kv-full` when the plugin's state would pass the manifest's limit.
    pub async fn kv_set(
        &mut self,
        namespace: &Namespace,
        key: &str,
        value: Vec<u8>,
    ) -> Result<(), Refusal> {
        self.admit().await?;
        let bytes_max = self.kv_bytes_max()?;
        let key = self.kv_key(namespace, key)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(Refusal::fatal(
                "value-too-large",
                format!("a value may have at most {VALUE_BYTES_MAX} bytes; split it"),
            ));
        }
        match self
            .ports
            .kv
            .set(self.run, key, value, bytes_max)
            .await
            .map_err(|error| store_error(&error))?
        {
            Written::Stored => Ok(()),
            Written::Full { bytes } => Err(Refusal::fatal(
                "kv-full",
                format!(
                    "the plugin's state would grow to {bytes} bytes, more than its limit of {bytes_max}; delete keys, or raise `kv.max-bytes` in plugin.toml"
                ),
            )),
        }
    }

    /// Deletes a key. False if it was not there.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn kv_delete(&mut self, namespace: &Namespace, key: &str) -> Result<bool, Refusal> {
        self.admit().await?;
        self.kv_bytes_max()?;
        let key = self.kv_key(namespace, key)?;
        Ok(self.ports.kv.delete(self.run, key).await.map_err(|error| store_error(&error))?)
    }

    /// The manifest's limit, if manifest and grant allow a store at all.
    fn kv_bytes_max(&self) -> Result<u64, HostError> {
        let Some(wish) = &self.wanted.kv else {
            return Err(HostError::fatal(
                "kv-not-granted",
                "the manifest asks for no key-value store; add `kv = { max-bytes = \"1MiB\" }` under [capabilities] in plugin.toml",
            ));
        };
        if self.grant.kv {
            return Ok(wish.bytes_max);
        }
        Err(HostError::fatal(
            "kv-not-granted",
            format!(
                "the operator has not granted a key-value store; write `kv = true` under [grants.{}] in roughneck.toml",
                self.plugin
            ),
        ))
    }

    fn kv_key(&self, namespace: &Namespace, key: &str) -> Result<Key, HostError> {
        if (1..=KEY_BYTES_MAX).contains(&key.len()) {
            let (plugin, namespace) = (self.plugin.clone(), namespace.0.clone());
            return Ok(Key { plugin, namespace, key: key.to_owned() });
        }
        Err(HostError::fatal(
            "invalid-key",
            format!("a key has 1 to {KEY_BYTES_MAX} bytes; hash a longer one"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use roughneck_jobs::manifest::KvWish;

    use super::*;
    use crate::fake::{World, told};

    fn world() -> World {
        World::new().wants(|wanted| wanted.kv = Some(KvWish { bytes_max: 100 }))
    }

    #[tokio::test]
    async fn a_value_is_set_read_and_deleted() {
        let world = world();
        let mut session = world.session();
        let store = session.kv_open("seen").unwrap();
        assert_eq!(session.kv_get(&store, "a").await, Ok(None));
        session.kv_set(&store, "a", b"1".to_vec()).await.unwrap();
        assert_eq!(session.kv_get(&store, "a").await, Ok(Some(b"1".to_vec())));
        assert_eq!(session.kv_delete(&store, "a").await, Ok(true));
        assert_eq!(session.kv_delete(&store, "a").await, Ok(false));
    }

    #[tokio::test]
    async fn a_plugin_without_the_wish_or_the_grant_gets_no_store() {
        let error = told(World::new().session().kv_open("seen"));
        assert_eq!(error.code, "kv-not-granted");
        assert!(error.message.contains("in plugin.toml"), "{error}");
        let ungranted = world().grant(|grant| grant.kv = false);
        let error = told(ungranted.session().kv_open("seen"));
        assert!(error.message.contains("`kv = true` under [grants.probe]"), "{error}");
    }

    #[tokio::test]
    async fn each_refusal_says_what_to_change() {
        let world = world();
        let mut session = world.session();
        assert_eq!(told(session.kv_open("a/b")).code, "invalid-name");
        assert_eq!(told(session.kv_open("")).code, "invalid-name");
        let store = session.kv_open("seen").unwrap();
        assert_eq!(told(session.kv_get(&store, "").await).code, "invalid-key");
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        assert_eq!(told(session.kv_get(&store, &long).await).code, "invalid-key");
        let huge = vec![0; VALUE_BYTES_MAX + 1];
        assert_eq!(told(session.kv_set(&store, "a", huge).await).code, "value-too-large");
        let error = told(session.kv_set(&store, "a", vec![0; 101]).await);
        assert_eq!(error.code, "kv-full");
        assert!(error.message.contains("limit of 100; delete keys, or raise"), "{error}");
    }

    #[tokio::test]
    async fn a_run_that_lost_its_job_between_guard_and_store_is_fenced_by_the_store() {
        let world = world();
        let mut session = world.session();
        let store = session.kv_open("seen").unwrap();
        world.kv.fence();
        assert_eq!(told(session.kv_set(&store, "a", vec![1]).await).code, "fenced");
    }
}
