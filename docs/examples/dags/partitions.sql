-- Views that show one partition of the people: the one that the connection asks for.
CREATE SCHEMA sync;

CREATE FUNCTION sync.is_in_partition(person text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT abs(mod(hashtext(coalesce(person, '')), current_setting('shop.partitions')::integer))
    = current_setting('shop.partition')::integer
$$;

CREATE VIEW sync.users AS
SELECT * FROM public.users
WHERE sync.is_in_partition(user_id::text);

-- A view has no primary key; messageId gives the event of a row the same id each time.
CREATE VIEW sync.orders AS
SELECT *, 'Order Placed' AS event, 'orders-' || order_id AS "messageId"
FROM public.orders
WHERE sync.is_in_partition(user_id::text);
