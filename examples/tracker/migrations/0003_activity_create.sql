-- What has happened in a project, written from the events after the fact. An entry has the id of its event, so an event
-- that arrives twice leaves one.
CREATE TABLE tracker.activity (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    project_id   uuid        NOT NULL,
    -- The issue may be gone by now.
    issue_id     uuid        NOT NULL,
    issue_number bigint      NOT NULL,
    kind         text        NOT NULL
        CONSTRAINT activity_kind CHECK (kind IN ('created', 'moved', 'deleted')),
    -- The status that the issue was moved to.
    status       text
        CONSTRAINT activity_status CHECK (status IN ('open', 'in_progress', 'done')),
    user_id      uuid,
    created_at   timestamptz NOT NULL,
    CONSTRAINT activity_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT activity_project FOREIGN KEY (workspace_id, project_id) REFERENCES tracker.project (workspace_id, id),
    CONSTRAINT activity_moved CHECK ((kind = 'moved') = (status IS NOT NULL))
);

CREATE INDEX activity_by_age ON tracker.activity (workspace_id, project_id, created_at, id);
