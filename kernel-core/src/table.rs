//! Tables as pillars and products declare them: whose rows they hold, and how delicate each column is.

use crate::secret::SealedColumn;

/// How delicate a column's content is. Export, redaction and deletion read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// May be shown to anyone: the name of a workspace, a status.
    Public,
    /// Belongs to a person or a workspace: addresses, texts.
    Private,
    /// Must not be readable even by those who hold the database: hashes, tokens, keys.
    Sensitive,
    /// Regulated: payment cards, health.
    Restricted,
}

impl Class {
    /// The name as column comments hold it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Sensitive => "sensitive",
            Self::Restricted => "restricted",
        }
    }
}

/// Whose rows a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Rows of the system: users, sessions. Visible in a [`GlobalTx`](crate::GlobalTx) only.
    Global,
    /// Rows of workspaces, told apart by `workspace_id`.
    Tenant,
}

/// Who reaches the rows of a table besides its own workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nobody but staff, reading.
    Own,
    /// The definer functions that look things up before a workspace is known.
    Resolved,
    /// The definer functions that read rows of all workspaces and add some.
    Filled,
    /// The definer functions of the queue, which claim and move rows of all workspaces.
    Queued,
}

/// What the logins may do with the rows that they see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    All,
    /// Insert and read.
    Append,
    /// Insert, read and change.
    Keep,
    Read,
    /// Nothing.
    None,
}

impl Rights {
    /// The privileges, as a grant lists them.
    pub(crate) fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::All => &["SELECT", "INSERT", "UPDATE", "DELETE"],
            Self::Append => &["SELECT", "INSERT"],
            Self::Keep => &["SELECT", "INSERT", "UPDATE"],
            Self::Read => &["SELECT"],
            Self::None => &[],
        }
    }
}

/// A column with its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: &'static str,
    /// How delicate its content is.
    pub class: Class,
}

/// By what the rows of a table are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Searchable {
    /// PostgreSQL's name of the language, which decides what counts as the same word: `english`, `simple`.
    pub(crate) language: &'static str,
    /// The first one counts most.
    pub(crate) columns: Vec<&'static str>,
    /// The column that a search can be narrowed by.
    pub(crate) within: Option<&'static str>,
}

/// A table with the class of every column. The build refuses one whose declaration and schema differ.
///
/// ```
/// use kernel_core::Table;
/// let issue = Table::tenant("tracker", "issue")
///     .public(&["id", "number", "status", "created_at"])
///     .private(&["title", "body"]);
/// assert_eq!(issue.columns().len(), 7, "workspace_id comes by itself");
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    schema: &'static str,
    name: &'static str,
    scope: Scope,
    reach: Reach,
    rights: Rights,
    partitioned: bool,
    columns: Vec<Column>,
    unique_across: Vec<&'static str>,
    search: Option<Searchable>,
    sealed: Vec<&'static str>,
}

impl Table {
    /// A table of workspaces' rows, with the column `workspace_id`.
    #[must_use]
    pub fn tenant(schema: &'static str, name: &'static str) -> Self {
        let workspace = Column { name: "workspace_id", class: Class::Public };
        Self::new(schema, name, Scope::Tenant, vec![workspace])
    }

    /// A table of the system's rows: identity, platform.
    #[must_use]
    pub fn global(schema: &'static str, name: &'static str) -> Self {
        Self::new(schema, name, Scope::Global, Vec::new())
    }

    fn new(schema: &'static str, name: &'static str, scope: Scope, columns: Vec<Column>) -> Self {
        Self {
            schema,
            name,
            scope,
            reach: Reach::Own,
            rights: Rights::All,
            partitioned: false,
            columns,
            unique_across: Vec::new(),
            search: None,
            sealed: Vec::new(),
        }
    }

    /// Columns that anyone may see.
    #[must_use]
    pub fn public(self, names: &[&'static str]) -> Self {
        self.classed(Class::Public, names)
    }

    /// Columns that belong to a person or a workspace.
    #[must_use]
    pub fn private(self, names: &[&'static str]) -> Self {
        self.classed(Class::Private, names)
    }

    /// Columns that hold hashes, tokens or ciphertext.
    #[must_use]
    pub fn sensitive(self, names: &[&'static str]) -> Self {
        self.classed(Class::Sensitive, names)
    }

    /// Columns that regulation covers.
    #[must_use]
    pub fn restricted(self, names: &[&'static str]) -> Self {
        self.classed(Class::Restricted, names)
    }

    fn classed(mut self, class: Class, names: &[&'static str]) -> Self {
        self.columns.extend(names.iter().map(|name| Column { name, class }));
        self
    }

    /// Rows are inserted and read, never changed or deleted; the grants say so.
    #[must_use]
    pub fn append_only(mut self) -> Self {
        self.rights = Rights::Append;
        self
    }

    /// The logins read the rows; only the declared functions write them.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.rights = Rights::Read;
        self
    }

    /// Rows are inserted, read and changed, never deleted; the grants say so.
    #[must_use]
    pub(crate) fn kept(mut self) -> Self {
        self.rights = Rights::Keep;
        self
    }

    /// Columns of the class sensitive and the type `bytea` that hold what [`seal`](crate::seal) made, or nothing. The rows
    /// have an `id`, by which each value is bound to its row, and [`App::reseal`](crate::App::reseal) brings them under
    /// the newest key.
    #[must_use]
    pub fn sealed(mut self, names: &[&'static str]) -> Self {
        self.sealed.extend(names);
        self.classed(Class::Sensitive, names)
    }

    /// No login may touch the rows; only the declared functions do.
    #[must_use]
    pub fn withheld(mut self) -> Self {
        self.rights = Rights::None;
        self
    }

    /// The table is partitioned; its partitions carry no grants of their own.
    #[must_use]
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// A unique key that spans workspaces, and why it may tell one workspace about another's value.
    #[must_use]
    pub fn unique_across(mut self, constraint: &'static str, _reason: &'static str) -> Self {
        self.unique_across.push(constraint);
        self
    }

    /// Rows are found by the words in these columns, and by parts of words in the first one, which counts most. A
    /// migration has made them so: `SELECT kernel_core.make_searchable('tracker.issue', 'english', ARRAY['title', 'body'])`.
    ///
    /// The table gets a column `search`, and the kernel makes a function `tracker.search_issue(query text, most integer)`
    /// that returns `(id uuid, rank real)`, the best first, at most 1,000, of the workspace that the transaction is in. The query
    /// is what people type: words, `"a phrase"`, `or`, `-without`. Join the table to it, with its own `workspace_id = $1`:
    /// asked directly, the table cannot use its full-text index under row-level security.
    #[must_use]
    pub fn searchable(mut self, language: &'static str, columns: &[&'static str]) -> Self {
        self.search = Some(Searchable { language, columns: columns.to_vec(), within: None });
        self.classed(Class::Private, &["search"])
    }

    /// Gives the search function of a [searchable](Self::searchable) table a third argument, `within uuid`: the value that
    /// this column must have, or `NULL` for any. The 1,000 best are then those of that part, which a condition beside the
    /// function could not say: it would only choose among the best of the whole workspace.
    #[must_use]
    pub fn searchable_within(mut self, column: &'static str) -> Self {
        self.search = self.search.map(|search| Searchable { within: Some(column), ..search });
        self
    }

    /// Definer functions owned by the resolver role read rows before a workspace is known.
    #[must_use]
    pub fn resolved(mut self) -> Self {
        self.reach = Reach::Resolved;
        self
    }

    /// Definer functions owned by the resolver role read rows of all workspaces and add some.
    #[must_use]
    pub(crate) fn filled(mut self) -> Self {
        self.reach = Reach::Filled;
        self
    }

    /// Definer functions owned by the resolver role claim and move rows of all workspaces.
    #[must_use]
    pub fn queued(mut self) -> Self {
        self.reach = Reach::Queued;
        self
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &'static str {
        self.schema
    }

    /// The name without its schema.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whose rows it holds.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The columns, in the order declared.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    pub(crate) fn search(&self) -> Option<&Searchable> {
        self.search.as_ref()
    }

    pub(crate) fn sealed_columns(&self) -> impl Iterator<Item = SealedColumn> {
        self.sealed.iter().map(|column| SealedColumn::new(self.schema, self.name, column))
    }

    pub(crate) fn may_span(&self, constraint: &str) -> bool {
        self.unique_across.contains(&constraint)
    }

    pub(crate) fn rights(&self) -> Rights {
        self.rights
    }

    pub(crate) fn can_change(&self) -> bool {
        matches!(self.rights, Rights::All | Rights::Keep)
    }

    /// Staff write inside a workspace that they have entered, and never to what is the system's.
    pub(crate) fn rights_of_operator(&self) -> Rights {
        match (self.scope, self.rights) {
            (Scope::Global, Rights::All | Rights::Append | Rights::Keep) => Rights::Read,
            (_, rights) => rights,
        }
    }

    pub(crate) fn is_partitioned(&self) -> bool {
        self.partitioned
    }
}

/// A `SECURITY DEFINER` function of a pillar: the narrow ways in which something crosses workspaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    pub(crate) schema: &'static str,
    /// Name and argument types, as `ALTER FUNCTION` takes them.
    pub(crate) signature: &'static str,
    pub(crate) caller: Caller,
    pub(crate) owner: FunctionOwner,
}

/// As whom a function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FunctionOwner {
    /// The role that owns the tables: makes and drops partitions, and sees no row that its policies hide.
    Owner,
    /// The role that sees across workspaces.
    Resolver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    App,
    Worker,
}

impl Function {
    /// A look-up that request handling may call before a workspace is known: `find_session(bytea)`.
    #[must_use]
    pub const fn lookup(schema: &'static str, signature: &'static str) -> Self {
        Self { schema, signature, caller: Caller::App, owner: FunctionOwner::Resolver }
    }

    /// A function of the queue, which only the worker login may call: `claim(text, integer)`.
    #[must_use]
    pub const fn queue(schema: &'static str, signature: &'static str) -> Self {
        Self { schema, signature, caller: Caller::Worker, owner: FunctionOwner::Resolver }
    }

    /// A function that makes or drops partitions, which only the worker login may call. It runs as the owner of the
    /// tables.
    #[must_use]
    pub const fn upkeep(schema: &'static str, signature: &'static str) -> Self {
        Self { schema, signature, caller: Caller::Worker, owner: FunctionOwner::Owner }
    }

    pub(crate) fn is_queue(&self) -> bool {
        self.caller == Caller::Worker
    }
}
