//! Methods: the name, params and result of each.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A method of an interface. Server and client share this type, so they can't disagree.
pub trait Method {
    /// Its name on the wire.
    const NAME: &'static str;
    /// Its params.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// Its result.
    type Result: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// The description of a method for the golden schema and the docs.
pub struct MethodDescription {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its documentation, line by line.
    pub doc: &'static [&'static str],
    /// The schema of its params.
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of its result.
    pub result: fn(&mut SchemaGenerator) -> Schema,
}

/// Declares the methods of an interface and the list `ALL` of them.
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

        /// Every method of this interface.
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
