//! What a refusal says.

use super::*;

#[test]
fn defects_are_where_they_belong() {
    let mut world = World::with(Some(Defect::AcceptUnpaired));
    assert!(world.connect(&attempt(&["operator.admin"])).is_ok());
    let mut world = World::with(Some(Defect::WrongReason));
    let refusal = world.connect(&attempt(&[])).unwrap_err();
    assert_eq!(refusal.error.unwrap().details.unwrap().reason.as_deref(), Some("scope-upgrade"));
    assert_eq!(refusal.pairing, Some(PairingReason::NotPaired), "the log tells the truth");
}

/// Reference, section 8.5, cases b02 and e02: what the newest release says beside the request's id.
#[test]
fn the_newest_says_what_is_asked_and_what_is_approved() {
    let details = |world: &mut World, attempt: &DeviceAttempt| {
        let error = world.connect(attempt).unwrap_err().error.unwrap();
        let mut details = serde_json::to_value(error.details.unwrap()).unwrap();
        assert!(details.as_object_mut().unwrap().remove("requestId").is_some());
        details
    };
    let cli = attempt_on(&V2026_9_6, &["operator.read"]);
    let mut browser = cli.clone();
    browser.client.id = protocol::ClientId::ControlUi;
    browser.client.mode = protocol::ClientMode::Webchat;
    let node = DeviceAttempt { role: "node".to_owned(), scopes: Vec::new(), ..cli.clone() };
    let not_paired = json!({
        "code": "PAIRING_REQUIRED", "reason": "not-paired", "deviceId": "device", "requestedRole": "operator",
        "requestedScopes": ["operator.read"],
        "remediationHint": "Approve this device from the pending pairing requests.",
    });
    assert_eq!(details(&mut World::on(&V2026_9_6, None), &cli), not_paired);

    // Only a control UI as operator is told to wait.
    let mut waits = not_paired.clone();
    waits["recommendedNextStep"] = json!("wait_then_retry");
    waits["retryable"] = json!(true);
    waits["pauseReconnect"] = json!(false);
    assert_eq!(details(&mut World::on(&V2026_9_6, None), &browser), waits);

    let mut of_node = not_paired.clone();
    of_node["requestedRole"] = json!("node");
    of_node.as_object_mut().unwrap().remove("requestedScopes");
    assert_eq!(details(&mut World::on(&V2026_9_6, None), &node), of_node);

    let mut world = World::on(&V2026_9_6, None);
    world.refused(&cli);
    world.approve();
    let mut upgrade = not_paired;
    upgrade["reason"] = json!("scope-upgrade");
    upgrade["requestedScopes"] = json!(["operator.admin"]);
    upgrade["approvedRoles"] = json!(["operator"]);
    upgrade["approvedScopes"] = json!(["operator.read"]);
    upgrade["remediationHint"] = json!("Review the requested scopes, then approve the pending upgrade.");
    let wider = attempt_on(&V2026_9_6, &["operator.admin"]);
    assert_eq!(details(&mut world, &wider), upgrade);
}
