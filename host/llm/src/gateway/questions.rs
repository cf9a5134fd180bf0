//! What clients ask of Ollama without waiting for the lane. It takes milliseconds, so whoever asks is limited, and so is how
//! long Ollama may take. What changes models is no question: it takes as long as it takes, and `errands` looks after it.

use roughneck_jobs::model::LlmError;
use tokio::sync::Semaphore;

use super::{passage::Stopped, refused::Refused};
use crate::{direct, lane::Shared};

/// So many may be asked at once, far more than an Ollama that is well ever has. To each of them a list of 16 MiB may be the
/// answer.
const AT_ONCE: usize = 64;

/// The questions that are being asked.
#[derive(Debug)]
pub(crate) struct Questions(Semaphore);

impl Default for Questions {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Shared {
    /// Asks a question.
    pub(super) async fn question<T>(
        &self,
        asks: impl Future<Output = Result<T, Stopped>>,
    ) -> Result<T, Stopped> {
        let Ok(_one) = self.questions.0.try_acquire() else {
            let Refused { status, message, .. } = Refused::full();
            return Err(Stopped { status, message });
        };
        let asked = tokio::time::timeout(self.config.question_timeout, asks).await;
        asked.unwrap_or_else(|_elapsed| {
            let (url, why) = (self.client.shown().to_owned(), direct::LATE.to_owned());
            let message = LlmError::Unavailable { url, why }.to_string();
            Err(Stopped { status: 503, message })
        })
    }
}
