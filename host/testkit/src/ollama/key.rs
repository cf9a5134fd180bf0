//! What Ollama would keep loaded: the weights and the options that force a reload.

use super::config::Model;
use super::options::Options;

/// Two requests with fitting keys share a loaded model; any difference unloads it and loads anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunnerKey {
    pub(super) blob: String,
    /// Context in tokens, after default and clamp.
    pub(super) num_ctx: u64,
    num_batch: Option<i64>,
    num_gpu: Option<i64>,
    main_gpu: Option<i64>,
    num_thread: Option<i64>,
    use_mmap: Option<bool>,
    draft_num_predict: Option<i64>,
    /// Whether a context that is full drops its oldest tokens, which a runner is started with.
    shift: bool,
}

/// The family whose models cannot do that.
const UNSHIFTED: &str = "deepseek2";

impl RunnerKey {
    /// `shift` is a field of generate and chat; the other routes have none.
    pub(super) fn of(
        model: &Model,
        options: &Options,
        shift: Option<bool>,
        default_context: u64,
    ) -> Self {
        let asked = options.num_ctx.unwrap_or(default_context);
        Self {
            blob: model.blob.clone(),
            // Ollama's bounds: at least 4, at most what the model was trained with.
            num_ctx: asked.min(model.context_length).max(4),
            num_batch: options.num_batch,
            // A negative number of layers means "as many as fit", as does none.
            num_gpu: options.num_gpu.filter(|layers| *layers >= 0),
            main_gpu: options.main_gpu,
            num_thread: options.num_thread,
            use_mmap: options.use_mmap,
            draft_num_predict: options.draft_num_predict,
            shift: shift.unwrap_or(model.family != UNSHIFTED),
        }
    }

    /// Whether a runner that was loaded with `loaded` can serve this key. One-sided: a request that does not care
    /// about `num_gpu` takes any.
    pub(super) fn fits(&self, loaded: &Self) -> bool {
        let num_gpu = self.num_gpu.or(loaded.num_gpu);
        Self { num_gpu, ..self.clone() } == *loaded
    }
}
