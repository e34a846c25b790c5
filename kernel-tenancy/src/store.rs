pub(crate) mod membership;
pub(crate) mod workspace;

/// Reads a role's name out of a row.
pub(crate) fn role(name: &str) -> Result<kernel_core::Role, sqlx::Error> {
    name.parse().map_err(|error: kernel_core::UnknownRole| sqlx::Error::Decode(error.into()))
}
