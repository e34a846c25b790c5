-- Events, written in the transaction of the fact. The relay numbers committed rows without gaps; consumers read by
-- that number, never by id, because ids commit out of order.
--
-- Among committed rows the relay goes by seq: of two transactions that follow each other, the later one draws the
-- greater value, whatever the clocks of their machines say. Ids of one millisecond have no order.
CREATE TABLE kernel_core.outbox (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    seq          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    name         text        NOT NULL CONSTRAINT outbox_name_length CHECK (length(name) BETWEEN 1 AND 100),
    aggregate_id uuid        NOT NULL,
    payload      jsonb       NOT NULL,
    request_id   uuid        NOT NULL,
    -- The trace of the request, where it is traced.
    trace_id     uuid,
    created_at   timestamptz NOT NULL,
    published_no bigint,
    CONSTRAINT outbox_pkey PRIMARY KEY (workspace_id, id)
);

CREATE INDEX outbox_unpublished ON kernel_core.outbox (seq) WHERE published_no IS NULL;
CREATE INDEX outbox_published ON kernel_core.outbox (published_no) WHERE published_no IS NOT NULL;
