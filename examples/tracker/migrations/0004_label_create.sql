-- Words that a workspace sorts its issues by.
CREATE TABLE tracker.label (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    name         text        NOT NULL,
    -- One of a palette whose contrast is known.
    colour       text        NOT NULL
        CONSTRAINT label_colour CHECK (
            colour IN ('gray', 'red', 'orange', 'green', 'teal', 'blue', 'purple', 'pink')
        ),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT label_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT label_name_length CHECK (length(name) BETWEEN 1 AND 40)
);

-- Bug and bug are one name.
CREATE UNIQUE INDEX label_name ON tracker.label (workspace_id, lower(name));
CREATE INDEX label_by_name ON tracker.label (workspace_id, name, id);
