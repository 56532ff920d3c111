//! One permit or forbid, taken apart: its scope for the index, its condition for Cedar.

use super::scope::{PrincipalScope, ResourceScope, action_bits};
use cedar_policy::pst::{self, BinaryOp, Clause, Expr, Literal, UnaryOp, Var};
use cedar_policy::{Effect, Policy, PolicyId};
use std::sync::Arc;

/// A statement of a valid policy.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Id of the rule, shown in decisions.
    pub(crate) rule: Arc<str>,
    pub(crate) effect: Effect,
    pub(crate) principal: PrincipalScope,
    /// One bit per action.
    pub(crate) actions: u64,
    pub(crate) resource: ResourceScope,
    pub(crate) condition: Option<Condition>,
    /// As written, for the whole-set reference and for readers.
    pub(crate) whole: Policy,
}

/// What stands in `when` and `unless`, as a policy without a scope: the index has settled the scope.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) policy: Policy,
    /// Looks at the circumstances of the request.
    pub(crate) uses_context: bool,
    /// Looks at the time.
    pub(crate) uses_now: bool,
    /// Looks at the resource.
    pub(crate) uses_resource: bool,
    /// Looks at principal, action or resource: needs their entities.
    pub(crate) uses_entities: bool,
    /// Its evaluation may end in an error, as that of arithmetic may; a valid condition without such parts is true or false.
    pub(crate) can_fail: bool,
    /// Levels of its expression; Cedar's evaluator recurses as deep.
    pub(crate) depth: usize,
}

impl Statement {
    /// Takes a static policy apart. `None` when its condition cannot be taken out, which no text does.
    pub(crate) fn new(rule: Arc<str>, policy: &Policy) -> Option<Statement> {
        let whole = policy.new_id(PolicyId::new(&*rule));
        let condition = if whole.has_non_scope_constraint() { Some(Condition::of(&whole)?) } else { None };
        Some(Statement {
            rule,
            effect: whole.effect(),
            principal: PrincipalScope::of(&whole.principal_constraint()),
            actions: action_bits(&whole.action_constraint()),
            resource: ResourceScope::of(&whole.resource_constraint()),
            condition,
            whole,
        })
    }

    pub(crate) fn forbids(&self) -> bool {
        self.effect == Effect::Forbid
    }
}

impl Condition {
    fn of(whole: &Policy) -> Option<Condition> {
        let pst = whole.to_pst().ok()?;
        let body = pst.body();
        let mut used = Used::default();
        for clause in body.clauses() {
            let (Clause::When(expression) | Clause::Unless(expression)) = clause;
            used.look_at(expression);
        }
        let bare = pst::Template::new(
            body.id.clone(),
            body.effect,
            pst::PrincipalConstraint::Any,
            pst::ActionConstraint::Any,
            pst::ResourceConstraint::Any,
        )
        .try_with_clauses(body.clauses().iter().cloned())
        .ok()?;
        let policy = Policy::from_pst(pst::Policy::Static(pst::StaticPolicy::try_from(bare).ok()?)).ok()?;
        Some(Condition {
            policy,
            uses_context: used.context,
            uses_now: used.now,
            uses_resource: used.resource,
            uses_entities: used.entities,
            can_fail: used.failing,
            depth: used.depth,
        })
    }
}

#[derive(Default)]
struct Used {
    context: bool,
    now: bool,
    resource: bool,
    entities: bool,
    failing: bool,
    depth: usize,
}

impl Used {
    /// Walks without recursion; what is not known counts as using everything.
    fn look_at(&mut self, expression: &Arc<Expr>) {
        let mut open = vec![(expression, 1_usize)];
        while let Some((next, depth)) = open.pop() {
            self.depth = self.depth.max(depth);
            let below = depth.saturating_add(1);
            match &**next {
                Expr::Literal(Literal::EntityUID(_)) => self.entities = true,
                Expr::Literal(Literal::Bool(_) | Literal::Long(_) | Literal::String(_)) => {}
                Expr::GetAttr { expr, attr } if **expr == Expr::Var(Var::Context) && attr != "now_ms" => {
                    self.context = true;
                }
                // The time itself, or the whole of the circumstances.
                Expr::Var(Var::Context) => (self.context, self.now) = (true, true),
                Expr::Var(Var::Principal | Var::Action) => self.entities = true,
                Expr::Var(Var::Resource) => (self.resource, self.entities) = (true, true),
                Expr::UnaryOp { op, expr } => {
                    self.failing |= !is_total(*op, expr);
                    open.push((expr, below));
                }
                Expr::GetAttr { expr, .. } | Expr::HasAttr { expr, .. } | Expr::Like { expr, .. } => {
                    open.push((expr, below));
                }
                Expr::BinaryOp { op, left, right } => {
                    self.failing |= !is_total_binary(*op);
                    open.extend([(left, below), (right, below)]);
                }
                Expr::Is { expr, in_expr, .. } => {
                    open.push((expr, below));
                    open.extend(in_expr.iter().map(|folder| (folder, below)));
                }
                Expr::IfThenElse { cond, then_expr, else_expr } => {
                    open.extend([cond, then_expr, else_expr].map(|branch| (branch, below)));
                }
                Expr::Set(items) => open.extend(items.iter().map(|item| (item, below))),
                Expr::Record(fields) => open.extend(fields.values().map(|field| (field, below))),
                _ => {
                    (self.context, self.now, self.resource, self.entities) = (true, true, true, true);
                    self.failing = true;
                    self.depth = usize::MAX;
                }
            }
        }
    }
}

/// Whether the operation has a value for every operand of its type. Operands that are written out were checked with the policy.
fn is_total(op: UnaryOp, operand: &Expr) -> bool {
    match op {
        UnaryOp::Not
        | UnaryOp::IsEmpty
        | UnaryOp::IsIPv4
        | UnaryOp::IsIPV6
        | UnaryOp::IsLoopback
        | UnaryOp::IsMulticast => true,
        UnaryOp::Ip => matches!(operand, Expr::Literal(Literal::String(_))),
        _ => false,
    }
}

/// As [`is_total`], of two operands.
fn is_total_binary(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::Less
            | BinaryOp::LessEq
            | BinaryOp::Greater
            | BinaryOp::GreaterEq
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::In
            | BinaryOp::Contains
            | BinaryOp::ContainsAll
            | BinaryOp::ContainsAny
            | BinaryOp::IsInRange
    )
}
