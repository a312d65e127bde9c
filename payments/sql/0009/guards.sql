-- A refund and a reserve are in the book of what they point to; money rows are never deleted by the application.
ALTER TABLE payments_refund
    ADD CONSTRAINT refund_is_in_its_orders_book FOREIGN KEY (order_id, book_id)
        REFERENCES payments_paymentorder (id, book_id);
ALTER TABLE payments_reservehold
    ADD CONSTRAINT reserve_is_in_its_orders_book FOREIGN KEY (order_id, book_id)
        REFERENCES payments_paymentorder (id, book_id),
    ADD CONSTRAINT reserve_is_in_its_sellers_book FOREIGN KEY (seller_id, book_id)
        REFERENCES payments_seller (id, book_id);
REVOKE DELETE, TRUNCATE ON payments_reservehold FROM florin_app;
