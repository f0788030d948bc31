//! The kustomizations in `deploy/kubernetes`, checked by the programs that read them.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Finished, have, json as parse};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
/// The folder of each kustomization, and the name that its resources share.
const KUSTOMIZATIONS: [(&str, &str); 2] = [("", "hello-server"), ("mesh", "hello-mesh")];

/// Builds a kustomization, as `kubectl apply --kustomize` does, and returns the path of the result.
fn build(test: &str, folder: &str) -> Option<String> {
    if !have("kubectl", "help", test) {
        return None;
    }
    let path = format!("{DEPLOY}/kubernetes/{folder}");
    let built = Command::new("kubectl").args(["kustomize", &path]).output();
    let Finished { out, err, status } = built.expect("runs").into();
    assert_eq!((&*err, status), ("", Some(0)), "{path}");
    let file = format!("{}/{test}{folder}.yaml", env!("CARGO_TARGET_TMPDIR"));
    fs::write(&file, out).expect("written");
    Some(file)
}

/// Reads a kustomization, and returns its resources by `KIND/NAME`, and the kinds that were checked.
fn read(test: &str, folder: &str, options: &[&str]) -> Option<[Value; 2]> {
    let file = build(test, folder)?;
    if !have("validate-python", "--version", test) {
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/kubernetes/resources.py");
    let mut command = Command::new("validate-python");
    let read = command.args(["-B", script]).args(options).arg(&file).output();
    let Finished { out, err, status } = read.expect("runs").into();
    assert_eq!((&*err, status), ("", Some(0)), "{file}");
    let mut read = parse(&out);
    Some(["resources", "checked"].map(|name| read[name].take()))
}

fn resources(test: &str, folder: &str) -> Option<Value> {
    read(test, folder, &[]).map(|[resources, _]| resources)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns the pods of a kustomization: the template in its Deployment or DaemonSet.
fn pods<'a>(resources: &'a Value, name: &str) -> &'a Value {
    let workloads = ["Deployment", "DaemonSet"].map(|kind| &resources[format!("{kind}/{name}")]);
    let [workload] = *workloads.into_iter().filter(|one| !one.is_null()).collect::<Vec<_>>() else {
        panic!("{resources}")
    };
    let template = &workload["spec"]["template"];
    let labels = &template["metadata"]["labels"];
    assert_eq!(&workload["spec"]["selector"]["matchLabels"], labels);
    template
}

#[test]
fn kubernetes_accepts_every_field_of_the_manifests() {
    let test = "kubernetes_accepts_every_field_of_the_manifests";
    if !have("kubernetes-validate", "--version", test) {
        return;
    }
    for (folder, _) in KUSTOMIZATIONS {
        let Some(file) = build(test, folder) else { return };
        let output = Command::new("kubernetes-validate").args(["--strict", &file]).output();
        let Finished { out, err, status } = output.expect("runs").into();
        assert_eq!(status, Some(0), "{out}{err}");
    }
}

#[test]
fn prometheus_operator_accepts_every_field_of_its_resources() {
    let test = "prometheus_operator_accepts_every_field_of_its_resources";
    for (folder, _) in KUSTOMIZATIONS {
        let Some([_, checked]) = read(test, folder, &["--check"]) else { return };
        assert_eq!(checked, json!(["PodMonitor", "PrometheusRule"]));
    }
}

#[test]
fn resources_of_a_kustomization_refer_to_each_other() {
    let test = "resources_of_a_kustomization_refer_to_each_other";
    for (folder, name) in KUSTOMIZATIONS {
        let Some(resources) = resources(test, folder) else { return };
        let pods = pods(&resources, name);
        let labels = &pods["metadata"]["labels"];
        let named: Vec<_> = list(&pods["spec"]["containers"])
            .iter()
            .flat_map(|container| list(&container["ports"]))
            .map(|port| (&port["name"], &port["protocol"]))
            .collect();
        let monitor = &resources[format!("PodMonitor/{name}")]["spec"];
        let policy = &resources[format!("NetworkPolicy/{name}")]["spec"];
        let service = &resources[format!("Service/{name}")]["spec"];
        assert_eq!(&service["selector"], labels);
        assert_eq!(&monitor["selector"]["matchLabels"], labels);
        assert_eq!(&policy["podSelector"]["matchLabels"], labels);
        if folder.is_empty() {
            let budget = &resources[format!("PodDisruptionBudget/{name}")]["spec"];
            assert_eq!(&budget["selector"]["matchLabels"], labels);
        }

        // Prometheus reads every port of metrics, and the policy admits it there.
        let (tcp, udp) = (json!("TCP"), json!("UDP"));
        let metrics: Vec<_> =
            named.iter().filter(|(_, protocol)| *protocol == &tcp).map(|(name, _)| *name).collect();
        let scraped: Vec<_> = list(&monitor["podMetricsEndpoints"])
            .iter()
            .map(|endpoint| &endpoint["port"])
            .collect();
        assert_eq!(scraped, metrics);
        let admitted = list(&policy["ingress"]).iter().flat_map(|rule| list(&rule["ports"]));
        let admitted: Vec<_> = admitted.filter(|port| port["protocol"] == tcp).collect();
        assert_eq!(admitted.iter().map(|port| &port["port"]).collect::<Vec<_>>(), metrics);
        for port in list(&service["ports"]) {
            assert!(named.contains(&(&port["targetPort"], &udp)), "{port}");
        }
        for container in list(&pods["spec"]["containers"]) {
            let liveness = &container["livenessProbe"]["httpGet"];
            assert_eq!(liveness["path"], "/healthz");
            let ports = list(&container["ports"]);
            let port = ports.iter().find(|port| port["name"] == liveness["port"]).expect("own");
            let metrics_listen = list(&container["args"])
                .windows(2)
                .find(|pair| pair[0] == "--metrics-listen")
                .map(|pair| &pair[1]);
            let expected = json!(format!("0.0.0.0:{}", port["containerPort"]));
            assert_eq!(metrics_listen, Some(&expected));
            let version = env!("CARGO_PKG_VERSION");
            assert_eq!(container["image"], format!("hello:{version}"));
        }
    }
}

#[test]
fn monitored_jobs_are_those_that_the_alerts_expect() {
    let test = "monitored_jobs_are_those_that_the_alerts_expect";
    for (folder, jobs) in [("", vec!["hello-server"]), ("mesh", vec!["hello-server", "hello-ping"])]
    {
        let Some(resources) = resources(test, folder) else { return };
        let name = KUSTOMIZATIONS.iter().find(|(known, _)| *known == folder).expect("known").1;
        let monitor = &resources[format!("PodMonitor/{name}")]["spec"]["podMetricsEndpoints"];
        let relabelings = list(monitor).iter().flat_map(|endpoint| list(&endpoint["relabelings"]));
        let found: Vec<_> = relabelings
            .filter(|relabeling| relabeling["targetLabel"] == "job")
            .map(|relabeling| &relabeling["replacement"])
            .collect();
        assert_eq!(found, jobs);
    }
}

#[test]
fn mesh_probes_the_headless_service_and_not_the_own_pod() {
    let test = "mesh_probes_the_headless_service_and_not_the_own_pod";
    let Some(resources) = resources(test, "mesh") else { return };
    let service = &resources["Service/hello-mesh"];
    assert_eq!(service["spec"]["clusterIP"], "None");
    // A node that fails must remain a target.
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true);
    let port = &service["spec"]["ports"][0]["port"];
    let targets = resources["ConfigMap/hello-mesh"]["data"]["targets"].as_str().expect("text");
    let targets: Vec<_> = targets.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(targets, [format!("dns+hello-mesh:{port}")]);

    let pods = pods(&resources, "hello-mesh");
    let [_, ping] = list(&pods["spec"]["containers"]) else { panic!("{pods}") };
    let [mount] = list(&ping["volumeMounts"]) else { panic!("{ping}") };
    // A mount of the file alone (subPath) would never change.
    assert_eq!((&mount["mountPath"], mount.get("subPath")), (&json!("/etc/hello"), None));
    let volume = json!({"name": mount["name"], "configMap": {"name": "hello-mesh"}});
    assert_eq!(pods["spec"]["volumes"], json!([volume]));
    let arguments = list(&ping["args"]);
    for pair in [["--targets", "/etc/hello/targets"], ["--exclude", "$(POD_IP)"]] {
        assert!(arguments.windows(2).any(|window| *window == pair.map(Value::from)), "{pair:?}");
    }
    let address = json!({"fieldRef": {"fieldPath": "status.podIP"}});
    assert_eq!(ping["env"], json!([{"name": "POD_IP", "valueFrom": address}]));
}

#[test]
fn alerts_of_the_operator_are_those_of_the_rules_file() {
    let [rule, file] = ["kubernetes/alerts/prometheusrule.yaml", "prometheus/alerts.yml"]
        .map(|path| fs::read_to_string(format!("{DEPLOY}/{path}")).expect("there"));
    let (_, rule) = rule.split_once("\nspec:\n").expect("rules");
    let (_, groups) = file.split_once("\ngroups:\n").expect("rules");
    let unindented = rule.lines().map(|line| line.strip_prefix("  ").unwrap_or(line));
    assert!(unindented.eq("groups:".lines().chain(groups.lines())));
}
