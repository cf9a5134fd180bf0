//! Glue of `roughneck:plugin/llm`.

use roughneck_capabilities::llm::{Request, Stream};
use roughneck_jobs::{model, usage};
use wasmtime::component::Resource;

use super::{NotDone, stop};
use crate::{
    bindings::roughneck::plugin::llm::{
        Completion, Host, HostRequest, HostTokenStream, Image, Message, Role, ToolCall, Usage,
    },
    guest::Guest,
};

impl Guest {
    /// Changes a request under construction.
    fn build(
        &mut self,
        this: &Resource<Request>,
        change: impl FnOnce(&mut Request),
    ) -> wasmtime::Result<()> {
        self.session.count().map_err(stop)?;
        change(self.table.get_mut(this)?);
        Ok(())
    }
}

impl HostRequest for Guest {
    fn new(&mut self, model: String) -> wasmtime::Result<Resource<Request>> {
        let request = self.session.llm_request(model).map_err(stop)?;
        Ok(self.table.push(request)?)
    }

    fn push(&mut self, this: Resource<Request>, m: Message) -> wasmtime::Result<()> {
        self.build(&this, |request| request.push(message(m)))
    }

    fn tool(
        &mut self,
        this: Resource<Request>,
        name: String,
        description: String,
        parameters_schema: String,
    ) -> wasmtime::Result<()> {
        let tool = model::Tool { name, description, parameters_schema };
        self.build(&this, |request| request.tool(tool))
    }

    fn response_schema(&mut self, this: Resource<Request>, schema: String) -> wasmtime::Result<()> {
        self.build(&this, |request| request.response_schema(schema))
    }

    fn temperature(&mut self, this: Resource<Request>, v: f32) -> wasmtime::Result<()> {
        self.build(&this, |request| request.temperature(v))
    }

    fn seed(&mut self, this: Resource<Request>, v: u64) -> wasmtime::Result<()> {
        self.build(&this, |request| request.seed(v))
    }

    fn max_output_tokens(&mut self, this: Resource<Request>, v: u32) -> wasmtime::Result<()> {
        self.build(&this, |request| request.max_output_tokens(v))
    }

    fn stop(&mut self, this: Resource<Request>, sequences: Vec<String>) -> wasmtime::Result<()> {
        self.build(&this, |request| request.stop(sequences))
    }

    fn set_option(
        &mut self,
        this: Resource<Request>,
        key: String,
        value: String,
    ) -> wasmtime::Result<()> {
        self.build(&this, |request| request.set_option(&key, &value))
    }

    fn drop(&mut self, this: Resource<Request>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostTokenStream for Guest {
    async fn next(&mut self, this: Resource<Stream>) -> Result<Option<String>, NotDone> {
        let stream = self.table.get_mut(&this)?;
        Ok(self.session.next_piece(stream).await?)
    }

    async fn finish(&mut self, this: Resource<Stream>) -> Result<Completion, NotDone> {
        let stream = self.table.delete(this)?;
        Ok(completion(self.session.finish(stream).await?))
    }

    fn drop(&mut self, this: Resource<Stream>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl Host for Guest {
    async fn complete(&mut self, req: Resource<Request>) -> Result<Completion, NotDone> {
        let request = self.table.delete(req)?;
        Ok(completion(self.session.complete(request).await?))
    }

    async fn open_stream(&mut self, req: Resource<Request>) -> Result<Resource<Stream>, NotDone> {
        let request = self.table.delete(req)?;
        let stream = self.session.open_stream(request).await?;
        Ok(self.table.push(stream)?)
    }
}

/// The media type is left behind: Ollama looks at the picture itself.
fn message(message: Message) -> model::Message {
    let picture = |Image { media_type: _, data }| data;
    model::Message {
        role: match message.role {
            Role::System => model::Role::System,
            Role::User => model::Role::User,
            Role::Assistant => model::Role::Assistant,
            Role::Tool => model::Role::Tool,
        },
        text: message.text,
        images: message.images.into_iter().map(picture).collect(),
        tool_calls: message
            .tool_calls
            .into_iter()
            .map(|ToolCall { id, name, arguments_json }| model::ToolCall {
                id,
                name,
                arguments_json,
            })
            .collect(),
        tool_call_id: message.tool_call_id,
    }
}

fn completion(completion: model::Completion) -> Completion {
    Completion {
        text: completion.text,
        thinking: completion.thinking,
        tool_calls: completion
            .tool_calls
            .into_iter()
            .map(|model::ToolCall { id, name, arguments_json }| ToolCall {
                id,
                name,
                arguments_json,
            })
            .collect(),
        finish_reason: completion.finish_reason,
        usage: usage(&completion.usage),
        model: completion.model,
        model_digest: completion.model_digest,
        replayed: false,
    }
}

fn usage(usage: &usage::Usage) -> Usage {
    let ms = |ns: u64| ns / 1_000_000;
    Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        load_ms: ms(usage.load_ns),
        prompt_ms: ms(usage.prompt_ns),
        generate_ms: ms(usage.generate_ns),
        queue_ms: ms(usage.queue_ns),
    }
}
