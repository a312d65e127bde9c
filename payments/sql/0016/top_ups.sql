-- A top-up's buyer is of the same book.
ALTER TABLE payments_paymentorder
    ADD CONSTRAINT order_is_in_its_buyers_book FOREIGN KEY (top_up_of, book_id)
        REFERENCES payments_buyer (public_id, book_id);
