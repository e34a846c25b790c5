-- Projects. A deleted one is out of sight at once; a job removes its rows.
CREATE TABLE tracker.project (
    workspace_id      uuid        NOT NULL,
    id                uuid        NOT NULL,
    -- What the numbers of its issues start with: APP-1.
    key               text        NOT NULL,
    name              text        NOT NULL,
    description       text        NOT NULL,
    last_issue_number bigint      NOT NULL,
    created_by        uuid,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    deleted_at        timestamptz,
    CONSTRAINT project_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT project_key_form CHECK (key ~ '^[A-Z]{2,6}$'),
    CONSTRAINT project_name_length CHECK (length(name) BETWEEN 1 AND 80),
    CONSTRAINT project_description_length CHECK (length(description) <= 500)
);

-- The key of a deleted project is free again.
CREATE UNIQUE INDEX project_key ON tracker.project (workspace_id, key) WHERE deleted_at IS NULL;
CREATE INDEX project_by_age ON tracker.project (workspace_id, created_at, id) WHERE deleted_at IS NULL;

SELECT kernel_core.make_searchable('tracker.project', 'english', ARRAY['name', 'description']);
