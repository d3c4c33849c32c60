-- SPDX-License-Identifier: Apache-2.0
-- Health of a Registry or a RegistryAccess for Argo CD. What is on its way is Progressing;
-- what only a person can put right is Degraded.
local status = obj.status or {}
if status.observedGeneration == nil or status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "the operator has not looked at this version yet"}
end

local known = {}
for _, condition in ipairs(status.conditions or {}) do
  known[condition.type] = condition
end

local function holds(name)
  return known[name] ~= nil and known[name].status == "True"
end

if obj.spec ~= nil and obj.spec.paused and not holds("Ready") then
  return {status = "Suspended", message = known.Ready and known.Ready.message or "paused"}
end
if holds("Stalled") then
  return {status = "Degraded", message = known.Stalled.message}
end
if holds("Reconciling") then
  return {status = "Progressing", message = known.Reconciling.message}
end
if known.Ready == nil then
  return {status = "Progressing", message = "the operator has not said yet"}
end
if holds("Ready") then
  return {status = "Healthy", message = known.Ready.message}
end
return {status = "Degraded", message = known.Ready.message}
