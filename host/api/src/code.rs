//! The codes of problems: stable, because clients branch on them.

use axum::http::StatusCode;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The body is not JSON.
    MalformedJson,
    /// The body is JSON, but not an object.
    NotAnObject,
    /// The connection broke off within the body.
    BodyCutOff,
    /// The body is packed in a way that is not taken.
    UnknownEncoding,
    /// An id in the path is no ULID.
    MalformedId,
    /// The `Last-Event-ID` is none of ours.
    MalformedEventId,
    /// The `Idempotency-Key` is empty, too long, there twice, or not visible ASCII.
    InvalidIdempotencyKey,
    /// A query parameter is unknown or has no such value.
    InvalidQuery,
    /// There is no `Host`, or more than one.
    MalformedHost,
    /// The `Host` is not a name of this host: the sign of DNS rebinding.
    ForeignHost,
    /// A page of another origin sent the request.
    ForeignOrigin,
    /// Nobody may do this through the host: it concerns the operator's account.
    OperatorOnly,
    /// Ollama has the route, and this host does not.
    NotImplemented,
    /// A host sent the request to its Ollama, and this is none.
    CallsItself,
    /// No installed plugin serves the kind.
    UnknownKind,
    /// No class of this name has slots.
    UnknownClass,
    /// No such job.
    UnknownJob,
    /// The job has left nothing under this name.
    UnknownArtifact,
    /// No such schedule.
    UnknownSchedule,
    /// No such flow.
    UnknownFlow,
    /// Nothing is served at this path.
    NoSuchRoute,
    /// The path does not take this method; `Allow` names those it takes.
    WrongMethod,
    /// The job or flow had ended before it could be cancelled.
    AlreadyEnded,
    /// Nothing of it has failed or was cancelled, so it cannot be retried.
    NotEnded,
    /// Another schedule has this id.
    ScheduleExists,
    /// The schedule belongs to a plugin's manifest.
    ScheduleOfManifest,
    /// A job that it needs stays without a result, so it cannot be retried alone.
    NeedsFailed,
    /// Its client waited on a connection that is closed.
    NobodyWaits,
    /// Its jobs are begun by those who wait for them.
    ClassNotPausable,
    /// A job of the flow has the id or the unique key of another job.
    JobExists,
    /// The body passes the host's limit.
    BodyTooLarge,
    /// The input of the job passes its limit.
    InputTooLarge,
    /// The flow has too many jobs, needs or bytes.
    FlowTooLarge,
    /// The jobs of the flow do not fit together.
    InvalidFlow,
    /// The submission lacks a field, or has an unknown or an unusable one.
    InvalidSubmission,
    /// There are as many schedules as there may be.
    TooManySchedules,
    /// What was submitted with this `Idempotency-Key` is another job or flow.
    IdempotencyKeyReused,
    /// No callback target of this name is configured.
    UnknownTarget,
    /// The callback URL names an address that is not public.
    PrivateTarget,
    /// Ollama does not have the model that the kind needs.
    ModelNotInstalled,
    /// The model answers elsewhere, and the operator lets no call leave the machine.
    CloudDisabled,
    /// As many jobs as the host takes have not ended.
    QueueFull,
    /// The host failed; its log says why.
    Internal,
    /// The store failed; the host's log says why.
    StoreBroken,
    /// The database is as large as the host lets it grow.
    StoreFull,
    /// The files of the store were moved or deleted.
    StoreGone,
    /// The disk of the data folder has too little room.
    DiskFull,
    /// The host stops and takes no new work.
    Stopping,
    /// As many clients are connected as may be.
    TooManyConnections,
    /// The host cannot take work now.
    NotReady,
}

impl Code {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// The status it is sent with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.facts().1
    }

    /// The same few words for every problem of this code.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    #[rustfmt::skip] // A table reads best with one row on one line.
    fn facts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedJson => ("malformed-json", S::BAD_REQUEST, "The body is not JSON"),
            Self::NotAnObject => ("not-an-object", S::BAD_REQUEST, "The body is not a JSON object"),
            Self::BodyCutOff => ("body-cut-off", S::BAD_REQUEST, "The body broke off"),
            Self::MalformedId => ("malformed-id", S::BAD_REQUEST, "The id is not a ULID"),
            Self::MalformedEventId => ("malformed-event-id", S::BAD_REQUEST, "The event id is none of this host's"),
            Self::InvalidIdempotencyKey => ("invalid-idempotency-key", S::BAD_REQUEST, "The idempotency key cannot be used"),
            Self::InvalidQuery => ("invalid-query", S::BAD_REQUEST, "A query parameter cannot be used"),
            Self::MalformedHost => ("malformed-host", S::BAD_REQUEST, "The request does not say which host it is for"),
            Self::ForeignHost => ("foreign-host", S::FORBIDDEN, "The request is meant for another host"),
            Self::ForeignOrigin => ("foreign-origin", S::FORBIDDEN, "The request comes from a foreign page"),
            Self::OperatorOnly => ("operator-only", S::FORBIDDEN, "Only the operator may do this"),
            Self::CloudDisabled => ("cloud-disabled", S::FORBIDDEN, "The call would leave this machine"),
            Self::UnknownKind => ("unknown-kind", S::NOT_FOUND, "No plugin serves this kind"),
            Self::UnknownClass => ("unknown-class", S::NOT_FOUND, "There is no such class"),
            Self::UnknownJob => ("unknown-job", S::NOT_FOUND, "There is no such job"),
            Self::UnknownArtifact => ("unknown-artifact", S::NOT_FOUND, "The job has no such artifact"),
            Self::UnknownFlow => ("unknown-flow", S::NOT_FOUND, "There is no such flow"),
            Self::UnknownSchedule => ("unknown-schedule", S::NOT_FOUND, "There is no such schedule"),
            Self::NoSuchRoute => ("no-such-route", S::NOT_FOUND, "There is nothing at this path"),
            Self::WrongMethod => ("wrong-method", S::METHOD_NOT_ALLOWED, "The path does not take this method"),
            Self::AlreadyEnded => ("already-ended", S::CONFLICT, "It has ended already"),
            Self::NotEnded => ("not-ended", S::CONFLICT, "It has not failed"),
            Self::ClassNotPausable => {
                ("class-not-pausable", S::CONFLICT, "The class cannot be paused")
            }
            Self::NobodyWaits => {
                ("nobody-waits", S::CONFLICT, "The client that waited for the job has left")
            }
            Self::NeedsFailed => ("needs-failed", S::CONFLICT, "A job that it needs has no result"),
            Self::JobExists => ("job-exists", S::CONFLICT, "There is such a job already"),
            Self::ScheduleExists => ("schedule-exists", S::CONFLICT, "The id belongs to another schedule"),
            Self::ScheduleOfManifest => ("schedule-of-manifest", S::CONFLICT, "The schedule belongs to a manifest"),
            Self::BodyTooLarge => ("body-too-large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::InputTooLarge => ("input-too-large", S::PAYLOAD_TOO_LARGE, "The job's input is too large"),
            Self::FlowTooLarge => ("flow-too-large", S::PAYLOAD_TOO_LARGE, "The flow is too large"),
            Self::UnknownEncoding => ("unknown-encoding", S::UNSUPPORTED_MEDIA_TYPE, "The body is packed in an unknown way"),
            Self::InvalidFlow => ("invalid-flow", S::UNPROCESSABLE_ENTITY, "The jobs of the flow do not fit together"),
            Self::InvalidSubmission => ("invalid-submission", S::UNPROCESSABLE_ENTITY, "The submission cannot be used"),
            Self::TooManySchedules => ("too-many-schedules", S::UNPROCESSABLE_ENTITY, "There are too many schedules"),
            Self::IdempotencyKeyReused => ("idempotency-key-reused", S::UNPROCESSABLE_ENTITY, "The idempotency key belongs to another submission"),
            Self::PrivateTarget => ("private-target", S::UNPROCESSABLE_ENTITY, "The callback would go to a private address"),
            Self::UnknownTarget => ("unknown-target", S::UNPROCESSABLE_ENTITY, "There is no such callback target"),
            Self::ModelNotInstalled => ("model-not-installed", S::UNPROCESSABLE_ENTITY, "The kind's model is not installed"),
            Self::QueueFull => ("queue-full", S::TOO_MANY_REQUESTS, "Too many jobs have not ended"),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "The host failed"),
            Self::StoreBroken => ("store-broken", S::INTERNAL_SERVER_ERROR, "The store failed"),
            Self::CallsItself => ("calls-itself", S::LOOP_DETECTED, "The host is its own Ollama"),
            Self::NotImplemented => ("not-implemented", S::NOT_IMPLEMENTED, "This host does not do this"),
            Self::StoreFull => ("store-full", S::SERVICE_UNAVAILABLE, "The database is full"),
            Self::StoreGone => ("store-gone", S::SERVICE_UNAVAILABLE, "The files of the store are gone"),
            Self::DiskFull => ("disk-full", S::SERVICE_UNAVAILABLE, "The disk is full"),
            Self::Stopping => ("stopping", S::SERVICE_UNAVAILABLE, "The host stops"),
            Self::TooManyConnections => {
                ("too-many-connections", S::SERVICE_UNAVAILABLE, "Too many clients are connected")
            }
            Self::NotReady => ("not-ready", S::SERVICE_UNAVAILABLE, "The host cannot take work"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/errors/README.md");

    #[test]
    fn every_code_is_explained_on_the_page() {
        let source = include_str!("code.rs");
        let rows = source.lines().filter_map(|line| line.trim().strip_prefix("Self::"));
        let codes: Vec<&str> = rows.filter_map(|row| row.split('"').nth(1)).collect();
        assert!(codes.contains(&Code::NotReady.as_str()), "{codes:?}");
        for code in codes {
            let row = PAGE.lines().find(|line| line.contains(&format!("`{code}`")));
            assert!(row.is_some_and(|row| row.starts_with('|')), "{code}");
        }
    }
}
