-- How many jobs there are of each kind in each state, and for how many seconds the longest due one has been waiting. Reads
-- the whole table, so a worker asks seldom.
CREATE FUNCTION kernel_jobs.backlog(clock timestamptz)
RETURNS TABLE (kind text, state text, jobs bigint, due_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT j.kind, j.state, count(*),
           greatest(coalesce(extract(epoch FROM moment.at - min(j.run_at) FILTER (WHERE j.state = 'available')), 0), 0)
               ::double precision
    FROM kernel_jobs.job AS j
    CROSS JOIN (SELECT coalesce(clock, clock_timestamp()) AS at) AS moment
    GROUP BY j.kind, j.state, moment.at
$$;
