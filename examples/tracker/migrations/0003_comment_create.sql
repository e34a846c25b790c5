-- What people say about an issue. They go with it.
CREATE TABLE tracker.comment (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    issue_id     uuid        NOT NULL,
    body         text        NOT NULL,
    created_by   uuid,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT comment_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT comment_issue FOREIGN KEY (workspace_id, issue_id) REFERENCES tracker.issue (workspace_id, id)
        ON DELETE CASCADE,
    CONSTRAINT comment_body_length CHECK (length(body) BETWEEN 1 AND 10000)
);

CREATE INDEX comment_by_age ON tracker.comment (workspace_id, issue_id, created_at, id);

SELECT kernel_core.make_searchable('tracker.comment', 'english', ARRAY['body']);
