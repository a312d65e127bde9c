"""The tables of payments, by noun."""

from payments.models.banking import BankFile, BankFileHandOut, BankInstruction
from payments.models.banks import OwnBankAccount
from payments.models.buyers import Buyer
from payments.models.conversions import OrderConversion
from payments.models.disputes import Dispute, DisputePart
from payments.models.evidence import DisputeEvidence, EvidenceFile
from payments.models.invoices import BillingProfile, Invoice, VatRate
from payments.models.looks import FoundRefund, PspLook
from payments.models.machines import AllowedTransition, Transition
from payments.models.messages import IdempotencyRecord, OutboxMessage, PspNotification, RequestNonce
from payments.models.operations import PspOperation
from payments.models.orders import Charge, PaymentEvent, PaymentOrder
from payments.models.parties import ApiKey, FeePlan, FixedFee, Merchant, MerchantBook, PspAccount, Seller
from payments.models.payouts import Payee, Payout, PayoutAllocation, PayoutDestination, PspFunding
from payments.models.refunds import Refund
from payments.models.reserves import ReserveHold
from payments.models.runs import PayoutStop, Run

__all__ = [
    "AllowedTransition",
    "ApiKey",
    "BankFile",
    "BankFileHandOut",
    "BankInstruction",
    "BillingProfile",
    "Buyer",
    "Charge",
    "Dispute",
    "DisputeEvidence",
    "DisputePart",
    "EvidenceFile",
    "FeePlan",
    "FixedFee",
    "FoundRefund",
    "IdempotencyRecord",
    "Invoice",
    "Merchant",
    "MerchantBook",
    "OrderConversion",
    "OutboxMessage",
    "OwnBankAccount",
    "Payee",
    "PaymentEvent",
    "PaymentOrder",
    "Payout",
    "PayoutAllocation",
    "PayoutDestination",
    "PayoutStop",
    "PspAccount",
    "PspFunding",
    "PspLook",
    "PspNotification",
    "PspOperation",
    "Refund",
    "RequestNonce",
    "ReserveHold",
    "Run",
    "Seller",
    "Transition",
    "VatRate",
]
