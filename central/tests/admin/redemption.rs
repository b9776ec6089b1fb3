//! A platform redeems a claim code, over either database.

use super::*;

async fn a_code_is_redeemed_by_a_platform(database: &str) {
    let desk = Desk::start(database).await;
    let (reader, clerk) = (desk.key(Role::Reader).await, desk.key(Role::Operator).await);
    let chief = desk.key(Role::Admin).await;
    let path = "/api/v1/claims/redeem";
    let account = json!({"account": "tmall:82731946"});
    let (_, made) = desk.post(&clerk, "/api/v1/accounts", &account).await;
    let account = json!({"account": "tmall:2"});
    desk.post(&clerk, "/api/v1/accounts", &account).await;
    let code = till::claim_code(1);
    let typed = code.content().to_lowercase();
    let wish = json!({"code": typed, "account": "tmall:82731946"});
    assert_eq!(desk.post(&reader, path, &wish).await.0, 403);
    for _ in 0..2 {
        let (status, told) = desk.post(&clerk, path, &wish).await;
        assert_eq!((status, &told["state"]), (202, &json!("waiting")), "{told}");
        assert_eq!(told["claim"], json!(code.digest()));
        assert!(told["waits_until"].is_string(), "{told}");
    }
    let metrics = desk.get(&reader, "/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("\ntillbind_claims_waiting 1\n"),
        "{metrics}"
    );

    let (_, pem) = desk.service.enrol("W1").await;
    let client = desk.service.client(Some(&pem));
    let mut till = till::Till::new(7);
    till.sale("1", 1_000, None);
    till.offer("1", &code);
    till.sale("2", -1_000, None);
    till.offer("2", &till::claim_code(2));
    desk.service.exchange(&client, &till.all()).await;
    let (status, told) = desk.post(&clerk, path, &wish).await;
    assert_eq!(
        (status, &told["state"]),
        (200, &json!("redeemed")),
        "{told}"
    );
    assert_eq!(
        (&told["points"], &told["member"]),
        (&json!(10), &made["member"])
    );
    assert_eq!(told["card"], Value::Null);

    let of_return = till::claim_code(2).to_string();
    let mistyped = format!("{}0", &of_return[..of_return.len() - 1]);
    for (code, account, status, word) in [
        (typed.as_str(), "tmall:2", 409, "another account"),
        (of_return.as_str(), "tmall:2", 409, "return"),
        (typed.as_str(), "tmall:9", 404, "does not exist"),
        (mistyped.as_str(), "tmall:2", 400, "mistyped"),
        ("7", "tmall:2", 400, "16"),
    ] {
        let wish = json!({"code": code, "account": account});
        let (answered, problem) = desk.post(&clerk, path, &wish).await;
        assert_eq!(answered, status, "{problem}");
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
        assert!(!message.contains(code) || code.len() < 8, "{message}");
    }
    let exported = desk
        .get(&reader, "/api/v1/claims?store=S1&format=csv")
        .await;
    let csv = exported.text().await.unwrap();
    assert!(csv.starts_with("claim,store,workstation,"), "{csv}");
    assert_eq!(csv.lines().count(), 3);
    let trail = desk.get(&chief, "/api/v1/audit").await.text().await;
    let trail = trail.unwrap();
    for action in ["claim.asked", "claim.redeemed", "claim.refused"] {
        assert!(trail.contains(action), "{action} is missing in {trail}");
    }
    assert!(trail.contains("tmall:********"), "{trail}");
    assert!(!trail.contains("82731946"), "{trail}");
    desk.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_redeemed_by_a_platform_over_sqlite() {
    a_code_is_redeemed_by_a_platform("sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_redeemed_by_a_platform_over_postgres() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::shared).await.unwrap() else {
        return;
    };
    a_code_is_redeemed_by_a_platform(&cluster.database()).await;
}
