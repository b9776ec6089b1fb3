//! One story over both engines: what terminals send, in every order and with every mishap, ends in
//! the same books.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a part that is left out must say so")]

#[expect(dead_code, reason = "the listener's tests need the rest")]
mod support;

mod story {
    pub(crate) mod binding;
    pub(crate) mod claims;
    pub(crate) mod crash;
    pub(crate) mod cut;
    pub(crate) mod desk;
    pub(crate) mod dictionaries;
    pub(crate) mod enrolment;
    pub(crate) mod exports;
    pub(crate) mod express;
    pub(crate) mod intake;
    pub(crate) mod pages;
    pub(crate) mod rivals;
    pub(crate) mod sales;
    pub(crate) mod start;
    pub(crate) mod wishes;
}

/// Tells every part of the story over both engines.
macro_rules! over_both_engines {
    ($($part:ident :: $name:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let bench = crate::support::Bench::sqlite().await.unwrap();
                    crate::story::$part::$name(&bench).await;
                    bench.assert_books_balance().await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(bench) = crate::support::Bench::postgres().await else {
                        return;
                    };
                    crate::story::$part::$name(&bench).await;
                    bench.assert_books_balance().await;
                }
            )*
        }
    };
}

over_both_engines! {
    start::many_processes_may_start_at_once_on_an_installation,
    start::an_older_database_gains_claims_and_what_it_stored_of_them,
    start::nobody_but_its_owner_may_read_the_data_directory,
    start::a_database_of_a_newer_program_is_left_alone,
    enrolment::a_token_buys_one_identity_and_the_same_till_may_ask_again,
    enrolment::a_renewed_certificate_replaces_its_predecessor_when_it_is_first_used,
    intake::a_batch_is_taken_once_however_often_it_is_sent,
    intake::a_hole_is_asked_for_and_a_notice_explains_it,
    intake::a_batch_goes_on_behind_its_holes_and_each_becomes_a_gap,
    intake::a_rolled_back_till_forks_and_both_histories_are_kept,
    intake::a_fork_that_a_poll_tells_of_is_kept,
    intake::a_poison_record_stops_nothing_and_can_be_mended,
    intake::a_value_that_the_database_refuses_goes_to_quarantine_alone,
    sales::one_sale_told_by_two_sources_is_one_sale_and_earns_once,
    sales::a_void_takes_back_what_its_sale_earned_from_whoever_holds_the_card_now,
    sales::a_card_scanned_after_the_sale_earns_its_points,
    binding::a_confirmed_binding_moves_what_the_card_had_earned_once,
    binding::the_first_of_many_requests_stands_and_the_second_opens_a_dispute,
    binding::a_dispute_settled_to_the_claimant_moves_the_card_and_its_earnings,
    binding::two_platforms_of_one_person_become_one_member,
    binding::bad_evidence_is_rejected_with_its_reason,
    claims::a_code_entered_after_its_receipt_was_printed_binds_the_card_once,
    wishes::a_code_entered_before_its_terminal_is_up_is_redeemed_when_its_event_comes,
    wishes::sale_offer_and_wish_may_come_in_any_order,
    rivals::the_first_account_holds_a_code_and_two_accounts_of_a_card_open_a_dispute,
    rivals::a_code_joins_no_two_members_of_different_platforms,
    rivals::a_sale_is_claimed_once_whatever_the_number_of_its_codes,
    claims::what_is_no_sale_any_more_is_refused_with_the_reason,
    claims::a_void_takes_back_what_was_credited_from_whoever_is_the_accounts_member_now,
    claims::a_card_that_comes_after_the_claim_earns_nothing_by_the_sale,
    wishes::a_code_expires_and_a_wish_ends,
    wishes::an_account_has_few_codes_waiting,
    claims::an_offer_of_anothers_sale_is_set_apart_and_counts_once_mended,
    claims::a_terminal_may_not_send_a_claim_as_evidence,
    rivals::many_processes_that_redeem_at_once_redeem_once,
    wishes::no_wish_is_missed_while_its_terminal_sends,
    rivals::whatever_happens_to_a_sale_in_whatever_order_it_earns_once,
    rivals::a_line_that_breaks_at_any_statement_redeems_once,
    wishes::a_till_without_claims_is_asked_nothing_of_them,
    claims::claims_are_exported_by_their_digest_alone,
    express::a_request_shown_before_its_turn_is_ruled_on_at_once_and_only_once,
    express::a_request_shown_before_its_turn_is_known_in_the_epoch_that_a_fork_leads_to,
    express::a_central_that_asks_for_what_it_lost_rules_on_what_it_is_shown,
    express::the_first_request_shown_stands_and_the_other_opens_one_dispute,
    express::a_copy_of_no_use_is_passed_over_and_judged_when_its_event_comes,
    express::a_copy_that_the_database_refuses_does_not_stop_its_batch,
    pages::a_short_page_for_a_slow_line_holds_one_change_at_least,
    pages::a_snapshot_is_resumed_at_any_page_and_followed_by_changes,
    pages::a_foreign_cursor_starts_over,
    pages::no_change_is_missed_while_others_write,
    dictionaries::one_is_trained_once_there_is_enough_and_every_process_reads_it,
    desk::disputes_and_quarantine_are_worked_through_by_commands,
    desk::after_an_upgrade_all_that_waits_is_replayed_at_once,
    exports::every_kind_has_the_fields_of_the_contract_in_their_order,
    exports::lines_read_as_they_were_promised,
    exports::csv_holds_what_ndjson_holds,
    exports::many_pages_hold_everything_once_in_order_as_of_one_moment,
    exports::a_filter_leaves_out_what_was_not_asked_for,
    crash::a_crash_at_any_moment_leaves_nothing_twice,
    cut::a_line_that_breaks_at_any_statement_leaves_all_or_nothing_and_a_resend_ends_with_all_once,
    cut::many_processes_that_take_one_batch_at_once_take_it_once,
    cut::a_replaced_till_that_tells_the_same_sales_again_adds_none,
}
