-- Issues, numbered within their project.
CREATE TABLE tracker.issue (
    workspace_id  uuid        NOT NULL,
    id            uuid        NOT NULL,
    project_id    uuid        NOT NULL,
    number        bigint      NOT NULL,
    title         text        NOT NULL,
    body          text        NOT NULL,
    status        text        NOT NULL
        CONSTRAINT issue_status CHECK (status IN ('open', 'in_progress', 'done')),
    priority      text        NOT NULL
        CONSTRAINT issue_priority CHECK (priority IN ('none', 'low', 'medium', 'high', 'urgent')),
    -- The order of priorities, which is not that of their names.
    priority_rank smallint    NOT NULL GENERATED ALWAYS AS (
        CASE priority WHEN 'urgent' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 WHEN 'low' THEN 1 ELSE 0 END
    ) STORED,
    assignee_id   uuid,
    created_by    uuid,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT issue_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT issue_number UNIQUE (workspace_id, project_id, number),
    CONSTRAINT issue_project FOREIGN KEY (workspace_id, project_id) REFERENCES tracker.project (workspace_id, id),
    CONSTRAINT issue_title_length CHECK (length(title) BETWEEN 1 AND 120),
    CONSTRAINT issue_body_length CHECK (length(body) <= 20000)
);

-- One for each order that the list offers.
CREATE INDEX issue_by_age ON tracker.issue (workspace_id, project_id, created_at, id);
CREATE INDEX issue_by_change ON tracker.issue (workspace_id, project_id, updated_at, id);
CREATE INDEX issue_by_priority ON tracker.issue (workspace_id, project_id, priority_rank, id);
CREATE INDEX issue_by_title ON tracker.issue (workspace_id, project_id, title, id);
-- Filters that leave few; that by priority has the order of priorities.
CREATE INDEX issue_by_assignee ON tracker.issue (workspace_id, project_id, assignee_id, created_at, id);
CREATE INDEX issue_by_status ON tracker.issue (workspace_id, project_id, status, created_at, id);
-- Counts of what is still to do.
CREATE INDEX issue_unfinished ON tracker.issue (workspace_id, project_id) WHERE status <> 'done';
-- What was changed last, in any project.
CREATE INDEX issue_recent ON tracker.issue (workspace_id, updated_at, id);

SELECT kernel_core.make_searchable('tracker.issue', 'english', ARRAY['title', 'body']);
