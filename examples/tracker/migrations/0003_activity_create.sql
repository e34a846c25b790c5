-- What has happened in a project, written from the events after the fact. An entry has the id of its event, so an event
-- that arrives twice leaves one.
CREATE TABLE tracker.activity (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    project_id   uuid        NOT NULL,
    -- The issue may be gone by now. An import is about many.
    issue_id     uuid,
    issue_number bigint,
    kind         text        NOT NULL
        CONSTRAINT activity_kind CHECK (
            kind IN ('created', 'moved', 'assigned', 'labelled', 'unlabelled', 'commented', 'deleted', 'imported')
        ),
    -- The status that the issue was moved to.
    status       text
        CONSTRAINT activity_status CHECK (status IN ('open', 'in_progress', 'done')),
    -- Whom the issue was assigned to; nobody when it was taken from somebody.
    assignee_id  uuid,
    -- The label that was put on or taken off; it may be gone by now.
    label_id     uuid,
    -- The comment; it may be gone by now.
    comment_id   uuid,
    -- How many issues were imported.
    issue_count  bigint,
    user_id      uuid,
    created_at   timestamptz NOT NULL,
    CONSTRAINT activity_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT activity_project FOREIGN KEY (workspace_id, project_id) REFERENCES tracker.project (workspace_id, id),
    CONSTRAINT activity_moved CHECK ((kind = 'moved') = (status IS NOT NULL)),
    CONSTRAINT activity_assigned CHECK (assignee_id IS NULL OR kind = 'assigned'),
    CONSTRAINT activity_labelled CHECK ((kind IN ('labelled', 'unlabelled')) = (label_id IS NOT NULL)),
    CONSTRAINT activity_commented CHECK ((kind = 'commented') = (comment_id IS NOT NULL)),
    CONSTRAINT activity_imported CHECK ((kind = 'imported') = (issue_count IS NOT NULL)),
    CONSTRAINT activity_issue CHECK ((kind = 'imported') = (issue_id IS NULL)),
    CONSTRAINT activity_issue_number CHECK ((issue_id IS NULL) = (issue_number IS NULL))
);

CREATE INDEX activity_by_age ON tracker.activity (workspace_id, project_id, created_at, id);
CREATE INDEX activity_by_issue ON tracker.activity (workspace_id, issue_id, created_at, id);
