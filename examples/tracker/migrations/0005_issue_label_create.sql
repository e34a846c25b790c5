-- Which issue has which label.
CREATE TABLE tracker.issue_label (
    workspace_id uuid NOT NULL,
    issue_id     uuid NOT NULL,
    label_id     uuid NOT NULL,
    CONSTRAINT issue_label_pkey PRIMARY KEY (workspace_id, issue_id, label_id),
    CONSTRAINT issue_label_issue FOREIGN KEY (workspace_id, issue_id) REFERENCES tracker.issue (workspace_id, id)
        ON DELETE CASCADE,
    CONSTRAINT issue_label_label FOREIGN KEY (workspace_id, label_id) REFERENCES tracker.label (workspace_id, id)
        ON DELETE CASCADE
);

-- "The issues with this label", and what goes with a label.
CREATE INDEX issue_label_by_label ON tracker.issue_label (workspace_id, label_id, issue_id);
