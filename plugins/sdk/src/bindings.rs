//! The contract, generated once from `wit/` for the widest world. Unused imports do not survive
//! linking.

wit_bindgen::generate!({
    path: "../../wit",
    world: "job-all",
    additional_derives: [PartialEq],
    pub_export_macro: true,
    default_bindings_module: "roughneck_sdk::bindings",
});
