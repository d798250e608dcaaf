use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Params of `group.change`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupChangeParams {
    /// The group's name, with or without `@`. The first member makes the group, the last one ends it.
    pub group: String,
    /// Its project.
    pub project: String,
    /// Members to add: `name`, or `name@machine`. With those to remove at most 5000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Members to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// Params of `group.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupListParams {
    /// The project.
    pub project: String,
    /// Only this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Result of `group.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GroupListResult {
    /// The groups, by name.
    pub groups: Vec<Group>,
}

/// A group: a name for several agents of a project. Result of `group.change`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its name, without `@`.
    pub name: String,
    /// Its members, sorted.
    pub members: Vec<String>,
}
