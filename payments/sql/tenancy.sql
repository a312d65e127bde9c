-- A row's book is that of everything it points to, by foreign key: no code path can mix tenants.
ALTER TABLE payments_paymentorder
    ADD CONSTRAINT order_is_in_its_payments_book FOREIGN KEY (event_id, book_id)
        REFERENCES payments_paymentevent (id, book_id),
    ADD CONSTRAINT order_is_in_its_charges_book FOREIGN KEY (charge_id, book_id)
        REFERENCES payments_charge (id, book_id),
    ADD CONSTRAINT order_is_in_its_sellers_book FOREIGN KEY (seller_id, book_id)
        REFERENCES payments_seller (id, book_id);
ALTER TABLE payments_charge
    ADD CONSTRAINT charge_is_in_its_payments_book FOREIGN KEY (event_id, book_id)
        REFERENCES payments_paymentevent (id, book_id),
    ADD CONSTRAINT charge_is_in_its_psp_accounts_book FOREIGN KEY (psp_account_id, book_id)
        REFERENCES payments_pspaccount (id, book_id);
ALTER TABLE payments_refund
    ADD CONSTRAINT refund_is_in_its_charges_book FOREIGN KEY (charge_id, book_id)
        REFERENCES payments_charge (id, book_id);
ALTER TABLE payments_pspoperation
    ADD CONSTRAINT operation_is_in_its_psp_accounts_book FOREIGN KEY (psp_account_id, book_id)
        REFERENCES payments_pspaccount (id, book_id),
    ADD CONSTRAINT operation_is_in_its_payments_book FOREIGN KEY (event_id, book_id)
        REFERENCES payments_paymentevent (id, book_id);
