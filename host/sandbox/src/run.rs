//! One attempt: a fresh store and instance, used once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use roughneck_capabilities::{CALL_BYTES_MAX, Session};
use roughneck_jobs::{
    failure::{Disposition, Failure},
    ports::runner::{Assignment, Outcome, Runner, Standing, Supervisor},
};
use wasmtime::{CallHook, Store, StoreContextMut, Trap, UpdateDeadline, WasmBacktrace};

use crate::{
    bindings::{exports::roughneck::plugin::job, roughneck::plugin::types},
    cpu::Metered,
    guest::Guest,
    memory::MemoryMeter,
    metrics::{Metrics, RunEnd},
    outcome::{End, outcome},
    plugins::{Plugins, Ready},
    stop::{Awaits, Stop},
};

/// Frames of a crash that are worth reading.
const FRAMES_MAX: usize = 5;

#[async_trait]
impl Runner for Plugins {
    async fn run(&self, assignment: Assignment, supervisor: Arc<dyn Supervisor>) -> Outcome {
        let started = Instant::now();
        let plugin = &assignment.served.plugin;
        let limits = plugin.manifest.limits;
        let timeout_ms = assignment.served.kind.timeout_ms;
        let Some(ready) = self.ready(&plugin.manifest.name) else {
            let end = End::Broken(format!("`{}` is not loaded", plugin.manifest.name));
            return outcome(end, &limits, timeout_ms, None).1;
        };
        let store = self.store(&assignment, ready, supervisor);
        let mut attempt = Attempt { store, end: RunEnd::Aborted, metrics: &self.metrics };
        let cpu = Arc::clone(&attempt.store.data().cpu);
        let left_ms = assignment.deadline.since_ms(self.ports.clock.now());
        let _running = self.ticker.running();
        // Dropping the call ends the guest, wherever it is; the store is read once more and dropped.
        let future = Box::pin(self.call(ready, &mut attempt.store, &assignment, started));
        let call = Metered { cpu, future };
        let called = tokio::time::timeout(Duration::from_millis(left_ms), call).await;
        let end = called.unwrap_or(End::TimedOut);
        let withheld = attempt.store.data().session.withheld();
        let (run_end, outcome) = outcome(end, &limits, timeout_ms, withheld);
        attempt.end = run_end;
        outcome
    }
}

/// A store that is counted when it is dropped, so that an attempt which nobody waits for any more
/// counts too.
struct Attempt<'a> {
    store: Store<Guest>,
    end: RunEnd,
    metrics: &'a Metrics,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let guest = self.store.data();
        self.metrics.run_ended(self.end, guest.cpu.used(), guest.memory.peak_bytes());
    }
}

impl Plugins {
    fn store(
        &self,
        assignment: &Assignment,
        ready: &Ready,
        supervisor: Arc<dyn Supervisor>,
    ) -> Store<Guest> {
        let (grant, ports) = (Arc::clone(&ready.grant), Arc::clone(&self.ports));
        let session = Session::new(assignment, grant, supervisor, ports);
        let limits = ready.plugin.manifest.limits;
        let guest = Guest::new(session, MemoryMeter::new(limits.memory_bytes_max));
        let mut store = Store::new(ready.pre.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(CALL_BYTES_MAX);
        let mut has_begun = false;
        store.call_hook(move |context, hook| {
            if !has_begun && matches!(hook, CallHook::CallingWasm) {
                has_begun = true;
                context.data().session.supervisor().began();
            }
            Ok(())
        });
        store.set_epoch_deadline(1);
        let cpu_max = Duration::from_millis(limits.cpu_ms_max);
        store.epoch_deadline_callback(move |context| interrupt(&context, cpu_max));
        store
    }

    async fn call(
        &self,
        ready: &Ready,
        store: &mut Store<Guest>,
        assignment: &Assignment,
        started: Instant,
    ) -> End {
        let plugin = match ready.pre.instantiate_async(&mut *store).await {
            Ok(plugin) => plugin,
            Err(error) => return not_started(&error),
        };
        self.metrics.guest_started(started.elapsed());
        let input = assignment.job.input.as_bytes();
        let job = plugin.roughneck_plugin_job();
        match job.call_run(store, &assignment.served.kind.name, input).await {
            Ok(Ok(output)) => End::Returned(output),
            Ok(Err(failure)) => End::Failed(failed(failure)),
            Err(error) => crashed(&error, End::Trapped),
        }
    }
}

/// Each beat of the pulse: the guest is stopped if it must be, and otherwise lets others run.
fn interrupt(
    context: &StoreContextMut<'_, Guest>,
    cpu_max: Duration,
) -> wasmtime::Result<UpdateDeadline> {
    let guest = context.data();
    if guest.cpu.used() > cpu_max {
        return Err(Stop::Cpu.into());
    }
    match guest.session.supervisor().standing() {
        Standing::Held | Standing::Stopping => {}
        Standing::Cancelled => return Err(Stop::Cancelled.into()),
        Standing::Fenced => return Err(Stop::Fenced.into()),
        Standing::Overdue => return Err(Stop::Overdue.into()),
    }
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
}

/// Why there is no instance. Memory that it wants before it has seen its job it will always want; what
/// is no mistake of the guest at all, such as a lack of address space, is the host's and may pass.
fn not_started(error: &wasmtime::Error) -> End {
    match crashed(error, End::NoInstance) {
        End::Stopped(Stop::Memory) => End::TooLittleMemory,
        end => end,
    }
}

/// What an error of wasmtime means: the host's own stop, a trap of the guest, or `otherwise`.
fn crashed(error: &wasmtime::Error, otherwise: impl FnOnce(String) -> End) -> End {
    if let Some(Awaits(children)) = error.downcast_ref::<Awaits>() {
        return End::Awaits(children.clone());
    }
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return End::Stopped(*stop);
    }
    let cause = error.root_cause().to_string();
    if error.downcast_ref::<Trap>().is_none() {
        return otherwise(cause);
    }
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    let names: Vec<String> = frames.iter().take(FRAMES_MAX).map(frame).collect();
    if names.is_empty() {
        End::Trapped(cause)
    } else {
        End::Trapped(format!("{cause}, in {}", names.join(", called by ")))
    }
}

fn frame(frame: &wasmtime::FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => format!("`{name}`"),
        None => format!("function {}", frame.func_index()),
    }
}

fn failed(failure: job::Failure) -> Failure {
    Failure {
        disposition: match failure.disposition {
            types::Disposition::Retry => Disposition::Retry,
            types::Disposition::Fail => Disposition::Fail,
            types::Disposition::Cancel => Disposition::Cancel,
        },
        code: failure.code,
        message: failure.message,
        retry_after_ms: failure.retry_after_ms,
        detail: failure.detail,
    }
}
