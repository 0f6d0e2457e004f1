/// The index of a workgroup whose grid the host may have folded from x into y (more than 65,535 groups).
fn flatGroup(group: vec3u, groups: vec3u) -> u32 {
  return group.y * groups.x + group.x;
}
