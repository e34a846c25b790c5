-- Events, written in the transaction of the fact. The relay numbers committed rows without gaps; consumers read by
-- that number, never by id, because ids commit out of order.
CREATE TABLE kernel_core.outbox (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    name         text        NOT NULL CONSTRAINT outbox_name_length CHECK (length(name) BETWEEN 1 AND 100),
    aggregate_id uuid        NOT NULL,
    payload      jsonb       NOT NULL,
    request_id   uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    published_no bigint,
    CONSTRAINT outbox_pkey PRIMARY KEY (workspace_id, id)
);

CREATE INDEX outbox_unpublished ON kernel_core.outbox (id) WHERE published_no IS NULL;
CREATE INDEX outbox_published ON kernel_core.outbox (published_no) WHERE published_no IS NOT NULL;
