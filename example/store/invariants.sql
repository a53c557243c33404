-- What must be true of the shop's data at any time. Each statement returns the rows that break its rule: none when all is well.

-- name: stock-matches-ledger
SELECT s.sku, s.training, s.quantity, coalesce(sum(m.change), 0) AS ledger
FROM stock s LEFT JOIN stock_movements m USING (sku, training)
GROUP BY s.sku, s.training, s.quantity
HAVING s.quantity <> coalesce(sum(m.change), 0);

-- name: stock-not-below-zero
SELECT sku, training, quantity FROM stock WHERE quantity < 0;

-- name: sale-total-matches-lines
SELECT s.order_id, s.total_cents, sum(l.quantity * l.price_cents) AS lines_cents
FROM sales s LEFT JOIN sale_lines l USING (order_id)
GROUP BY s.order_id, s.total_cents
HAVING s.total_cents IS DISTINCT FROM sum(l.quantity * l.price_cents);

-- name: sale-paid-exactly
SELECT s.order_id, s.total_cents, coalesce(sum(p.amount_cents), 0) AS paid_cents
FROM sales s LEFT JOIN payments p USING (order_id)
GROUP BY s.order_id, s.total_cents
HAVING s.total_cents <> coalesce(sum(p.amount_cents), 0);

-- name: sale-charged-once
SELECT order_id, count(*) AS payments FROM payments GROUP BY order_id HAVING count(*) > 1;

-- name: sale-moved-its-stock
SELECT l.order_id, l.sku, l.quantity, coalesce(sum(m.change), 0) AS moved
FROM sale_lines l LEFT JOIN stock_movements m ON m.order_id = l.order_id AND m.sku = l.sku AND m.kind = 'sale'
GROUP BY l.order_id, l.sku, l.quantity
HAVING l.quantity <> -coalesce(sum(m.change), 0);

-- name: refunds-within-payment
SELECT p.id, p.amount_cents, sum(r.amount_cents) AS refunded_cents
FROM payments p JOIN refunds r ON r.payment_id = p.id
GROUP BY p.id, p.amount_cents
HAVING sum(r.amount_cents) > p.amount_cents;

-- name: restricted-sale-has-proof
SELECT DISTINCT s.order_id
FROM sales s JOIN sale_lines l USING (order_id) JOIN items i USING (sku)
WHERE i.restricted AND s.age_proof IS NULL;

-- name: training-stays-apart
SELECT s.order_id
FROM sales s LEFT JOIN payments p USING (order_id) LEFT JOIN stock_movements m USING (order_id)
WHERE p.training <> s.training OR m.training <> s.training;
