-- What waits to be relayed and to be sealed, over all workspaces, for the metrics of a worker. It counts to ten thousand, so
-- that looking costs little when things are bad.
CREATE FUNCTION kernel_core.backlog(clock timestamptz)
RETURNS TABLE (events bigint, event_seconds double precision, audit_rows bigint, audit_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT e.waiting, e.seconds, a.waiting, a.seconds
    FROM (SELECT coalesce(clock, clock_timestamp()) AS at) AS moment
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting,
               greatest(coalesce(extract(epoch FROM moment.at - min(o.created_at)), 0), 0)::double precision AS seconds
        FROM (
            SELECT w.created_at FROM kernel_core.outbox AS w WHERE w.published_no IS NULL ORDER BY w.seq LIMIT 10000
        ) AS o
    ) AS e
    CROSS JOIN LATERAL (
        -- An id begins with the time in milliseconds.
        SELECT count(*) AS waiting,
               greatest(coalesce(extract(epoch FROM moment.at) - min(('x' || u.began)::bit(48)::bigint) / 1000.0, 0), 0)
                   ::double precision AS seconds
        FROM (
            SELECT left(replace(m.id::text, '-', ''), 12) AS began FROM kernel_core.audit_unsealed AS m LIMIT 10000
        ) AS u
    ) AS a
$$;
