-- What a shop has on its shelves.
CREATE TABLE shop.item (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    name         text        NOT NULL
        CONSTRAINT item_name_length CHECK (length(name) BETWEEN 1 AND 80),
    -- What opens the supplier's order page: sealed.
    order_token  bytea,
    created_at   timestamptz NOT NULL,
    CONSTRAINT item_pkey PRIMARY KEY (workspace_id, id)
);

CREATE UNIQUE INDEX item_name ON shop.item (workspace_id, name);
SELECT kernel_core.make_searchable('shop.item', 'english', ARRAY['name']);
