//! The contract as Rust sees it. The widest world is bound; components that import less still fit.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "job-all",
    imports: {
        "roughneck:plugin/llm.complete": async | trappable,
        "roughneck:plugin/llm.open-stream": async | trappable,
        "roughneck:plugin/llm.[method]token-stream.next": async | trappable,
        "roughneck:plugin/llm.[static]token-stream.finish": async | trappable,
        "roughneck:plugin/http.send": async | trappable,
        "roughneck:plugin/kv.[method]store.get": async | trappable,
        "roughneck:plugin/kv.[method]store.set": async | trappable,
        "roughneck:plugin/kv.[method]store.delete": async | trappable,
        "roughneck:plugin/enqueue.submit": async | trappable,
        "roughneck:plugin/enqueue.await-all": async | trappable,
        "roughneck:plugin/context.need-output": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "roughneck:plugin/llm.request": roughneck_capabilities::llm::Request,
        "roughneck:plugin/llm.token-stream": roughneck_capabilities::llm::Stream,
        "roughneck:plugin/http.request": roughneck_capabilities::http::Request,
        "roughneck:plugin/kv.store": roughneck_capabilities::kv::Namespace,
        "roughneck:plugin/enqueue.spec": roughneck_capabilities::enqueue::Spec,
    },
    trappable_error_type: {
        "roughneck:plugin/types.host-error" => crate::glue::NotDone,
    },
});
