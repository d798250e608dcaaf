//! What ties a method's name, params and result together.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One method of a surface. Server and client both go through this type, so they can't disagree.
pub trait Method {
    /// Its name on the wire.
    const NAME: &'static str;
    /// What is asked.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// What is answered.
    type Result: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// A method as the golden schema file and the docs list it.
pub struct MethodDescription {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its documentation, one line an element.
    pub doc: &'static [&'static str],
    /// Schema of its params.
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// Schema of its result.
    pub result: fn(&mut SchemaGenerator) -> Schema,
}

/// Declares the methods of one surface and the list `ALL` of them.
macro_rules! surface {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal: $params:ty => $result:ty;)*) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl $crate::method::Method for $name {
                const NAME: &'static str = $wire;
                type Params = $params;
                type Result = $result;
            }
        )*

        /// Every method of this surface.
        pub const ALL: &[$crate::method::MethodDescription] = &[$(
            $crate::method::MethodDescription {
                name: $wire,
                doc: &[$($doc),+],
                params: <$params as schemars::JsonSchema>::json_schema,
                result: <$result as schemars::JsonSchema>::json_schema,
            },
        )*];
    };
}
pub(crate) use surface;

/// Params or result without members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
pub struct Empty {}
