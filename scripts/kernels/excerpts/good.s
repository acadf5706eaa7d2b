0000000000000000 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17he99c71a79f22852cE>:
  60:	prefetcht0 0x600(%rsi)
  67:	prefetcht0 0x640(%rsi)
  6e:	prefetcht1 (%r10)
  72:	vbroadcastss (%rsi),%ymm1
  77:	vfmadd132ps (%r14),%ymm0,%ymm1
  7c:	vbroadcastss 0x18(%rsi),%ymm0
  82:	vfmadd132ps 0x20(%r14),%ymm1,%ymm0
  88:	vbroadcastss 0x30(%rsi),%ymm1
  8e:	vfmadd132ps 0x40(%r14),%ymm0,%ymm1
  94:	vbroadcastss 0x48(%rsi),%ymm0
  9a:	vfmadd132ps 0x60(%r14),%ymm1,%ymm0
  a0:	add    $0x60,%rsi
  a4:	sub    $0xffffffffffffff80,%r14
  a8:	add    %r11,%r10
  ab:	dec    %rbx
  ae:	jne    60 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17he99c71a79f22852cE+0x60>
  b4:	ret

0000000000000000 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17hf9d0bc3a0339ea10E>:
  70:	prefetcht0 0x600(%rsi)
  77:	prefetcht0 0x640(%rsi)
  7e:	prefetcht1 (%r10)
  82:	vbroadcastss (%rsi),%ymm2
  87:	vfmadd231ps -0xe0(%rbx),%ymm2,%ymm1
  90:	vfmadd231ps -0xc0(%rbx),%ymm2,%ymm0
  99:	vbroadcastss 0x18(%rsi),%ymm2
  9f:	vfmadd231ps -0xa0(%rbx),%ymm2,%ymm1
  a8:	vfmadd231ps -0x80(%rbx),%ymm2,%ymm0
  ae:	vbroadcastss 0x30(%rsi),%ymm2
  b4:	vfmadd231ps -0x60(%rbx),%ymm2,%ymm1
  ba:	vfmadd231ps -0x40(%rbx),%ymm2,%ymm0
  c0:	vbroadcastss 0x48(%rsi),%ymm2
  c6:	vfmadd231ps -0x20(%rbx),%ymm2,%ymm1
  cc:	vfmadd231ps (%rbx),%ymm2,%ymm0
  d1:	add    $0x60,%rsi
  d5:	add    $0x100,%rbx
  dc:	add    %r11,%r10
  df:	dec    %r14
  e2:	jne    70 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17hf9d0bc3a0339ea10E+0x70>
  e8:	ret

0000000000000000 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17h019ffdb699c42138E>:
  80:	prefetcht0 0x600(%rcx)
  87:	prefetcht0 0x640(%rcx)
  8e:	prefetcht1 (%r9)
  92:	vbroadcastss (%rcx),%ymm2
  97:	vmovups (%r14),%ymm3
  9c:	vmovups 0x20(%r14),%ymm4
  a2:	vmovups 0x40(%r14),%ymm5
  a8:	vfmadd213ps %ymm1,%ymm3,%ymm2
  ad:	vbroadcastss 0x4(%rcx),%ymm1
  b3:	vmovups 0x60(%r14),%ymm6
  b9:	vfmadd213ps %ymm0,%ymm3,%ymm1
  be:	vbroadcastss 0x18(%rcx),%ymm0
  c4:	vfmadd213ps %ymm2,%ymm4,%ymm0
  c9:	vbroadcastss 0x1c(%rcx),%ymm2
  cf:	vfmadd213ps %ymm1,%ymm4,%ymm2
  d4:	vbroadcastss 0x30(%rcx),%ymm3
  da:	vbroadcastss 0x34(%rcx),%ymm4
  e0:	vfmadd213ps %ymm0,%ymm5,%ymm3
  e5:	vfmadd213ps %ymm2,%ymm5,%ymm4
  ea:	vbroadcastss 0x48(%rcx),%ymm1
  f0:	vfmadd213ps %ymm3,%ymm6,%ymm1
  f5:	vbroadcastss 0x4c(%rcx),%ymm0
  fb:	vfmadd213ps %ymm4,%ymm6,%ymm0
 100:	add    $0x60,%rcx
 104:	sub    $0xffffffffffffff80,%r14
 108:	add    %r10,%r9
 10b:	dec    %r11
 10e:	jne    80 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17h019ffdb699c42138E+0x80>
 114:	ret

0000000000000000 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17h561d0f665b0118a1E>:
  90:	prefetcht0 0x600(%rcx)
  97:	prefetcht0 0x640(%rcx)
  9e:	prefetcht1 (%r9)
  a2:	vbroadcastss (%rcx),%ymm4
  a7:	vmovups -0xe0(%r11),%ymm5
  b0:	vmovups -0xc0(%r11),%ymm6
  b9:	vmovups -0xa0(%r11),%ymm7
  c2:	vmovups -0x80(%r11),%ymm8
  c8:	vfmadd231ps %ymm5,%ymm4,%ymm3
  cd:	vfmadd231ps %ymm4,%ymm6,%ymm2
  d2:	vbroadcastss 0x4(%rcx),%ymm4
  d8:	vfmadd231ps %ymm5,%ymm4,%ymm1
  dd:	vfmadd231ps %ymm6,%ymm4,%ymm0
  e2:	vbroadcastss 0x18(%rcx),%ymm4
  e8:	vfmadd231ps %ymm7,%ymm4,%ymm3
  ed:	vfmadd231ps %ymm4,%ymm8,%ymm2
  f2:	vbroadcastss 0x1c(%rcx),%ymm4
  f8:	vfmadd231ps %ymm7,%ymm4,%ymm1
  fd:	vfmadd231ps %ymm8,%ymm4,%ymm0
 102:	vmovups -0x60(%r11),%ymm4
 108:	vmovups -0x40(%r11),%ymm5
 10e:	vbroadcastss 0x30(%rcx),%ymm6
 114:	vfmadd231ps %ymm4,%ymm6,%ymm3
 119:	vfmadd231ps %ymm6,%ymm5,%ymm2
 11e:	vbroadcastss 0x34(%rcx),%ymm6
 124:	vfmadd231ps %ymm4,%ymm6,%ymm1
 129:	vfmadd231ps %ymm5,%ymm6,%ymm0
 12e:	vmovups -0x20(%r11),%ymm4
 134:	vmovups (%r11),%ymm5
 139:	vbroadcastss 0x48(%rcx),%ymm6
 13f:	vfmadd231ps %ymm4,%ymm6,%ymm3
 144:	vfmadd231ps %ymm6,%ymm5,%ymm2
 149:	vbroadcastss 0x4c(%rcx),%ymm6
 14f:	vfmadd231ps %ymm4,%ymm6,%ymm1
 154:	vfmadd231ps %ymm5,%ymm6,%ymm0
 159:	add    $0x60,%rcx
 15d:	add    $0x100,%r11
 164:	add    %r10,%r9
 167:	dec    %r14
 16a:	jne    90 <_ZN87_$LT$snellen_cpu..format..x86..Avx2$LT$_$GT$$u20$as$u20$snellen_cpu..format..Format$GT$4tile17h561d0f665b0118a1E+0x90>
 170:	ret
